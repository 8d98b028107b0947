"""What travels between workflows, activities and signals: frozen data, ids and plain values, never a secret.

New fields get defaults, so that histories written by older code still replay.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

from trading.runs import EndReason, ExitReason, Position, RunState


@dataclass(frozen=True)
class StrategyInput:
    """All a day of a strategy needs. Instants are aware UTC; `lead_seconds`: how long before buy_at the entry is armed;
    `buy_asked_after` and `sell_asked_after`: for how many seconds after these instants the desk is left alone with the order."""

    run_id: str
    strategy_id: str
    user_id: str
    account_id: str
    exchange: str
    symbol: str
    quantity: int
    trading_day: date
    buy_at: datetime
    sell_at: datetime
    stop_loss: Decimal
    stop_version: int
    max_lateness_seconds: int | None
    lead_seconds: float
    entry_deadline_seconds: float
    buy_asked_after: float = 0.0
    sell_asked_after: float = 0.0


@dataclass(frozen=True)
class StopLossHit:
    """From the listener. `trigger_id` begins with the run it is for: a workflow id may be used again by a later run."""

    symbol: str
    price: Decimal
    stop_version: int
    trigger_id: str
    at: datetime


@dataclass(frozen=True)
class TargetHit:
    """As `StopLossHit`, of a price at or above the target."""

    symbol: str
    price: Decimal
    stop_version: int
    trigger_id: str
    at: datetime


@dataclass(frozen=True)
class StopRequested:
    """A user's stop, or the kill switch. `square_off` false leaves the position as it is."""

    square_off: bool
    requested_by: str
    at: datetime
    reason: ExitReason = ExitReason.USER_STOP


@dataclass(frozen=True)
class CredentialsRenewed:
    account_id: str
    at: datetime


@dataclass(frozen=True)
class RunSettled:
    """From the guard: the rows say that nothing is left to do, such as when somebody else has sold the shares."""

    at: datetime


@dataclass(frozen=True)
class ChangePlan:
    """The row has been changed already (rows first, then the workflow); this tells the workflow what now holds."""

    sell_at: datetime | None = None
    stop_loss: Decimal | None = None
    stop_version: int | None = None


@dataclass(frozen=True)
class PlanChanged:
    sell_at: datetime
    stop_loss: Decimal
    stop_version: int


@dataclass(frozen=True)
class RunStatus:
    """Answer of the `status` query: what the run is doing, in words an operator understands."""

    state: RunState
    waiting_for: str
    sell_at: datetime
    stop_loss: Decimal
    exit_reason: ExitReason | None


@dataclass(frozen=True)
class StrategyResult:
    """How the day ended. Prices in rupees, lateness in milliseconds after the wanted instant."""

    end_reason: EndReason
    detail: str
    position: Position
    bought: int = 0
    average_buy_price: Decimal | None = None
    sold: int = 0
    average_sell_price: Decimal | None = None
    realised_pnl: Decimal = Decimal(0)
    entry_late_ms: int | None = None
    exit_late_ms: int | None = None


# The one denial that ends a run differently from the others.
KILL_SWITCH_ENGAGED = "KILL_SWITCH_ENGAGED"


class ArmOutcome(str, Enum):
    ARMED = "armed"
    DENIED = "denied"  # our own check said no: credentials, kill switch, risk
    NOT_WANTED = "not_wanted"  # stopped in the meantime


@dataclass(frozen=True)
class Begin:
    run_id: str
    at: datetime


@dataclass(frozen=True)
class Begun:
    """`entry_exists`: this run was under way before, and is taken over from its rows."""

    state: RunState
    entry_exists: bool
    stop_requested: bool
    exit_reason: ExitReason | None
    sell_at: datetime
    stop_loss: Decimal
    stop_version: int


@dataclass(frozen=True)
class ArmEntry:
    """`deadline_at`: after it the entry is pointless. `at` is the workflow's own time, here and below."""

    run_id: str
    fire_at: datetime
    deadline_at: datetime
    at: datetime


@dataclass(frozen=True)
class EntryArmed:
    """`code` and `message` say why it was denied."""

    outcome: ArmOutcome
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class Enter:
    run_id: str
    at: datetime


@dataclass(frozen=True)
class Entered:
    """The entry is over. `bought` 0: nothing was bought, and the rows say why."""

    bought: int
    average_price: Decimal | None = None
    late_ms: int | None = None


@dataclass(frozen=True)
class Leave:
    """`square_off` false: cancel what rests and keep the position."""

    run_id: str
    reason: ExitReason
    wanted_at: datetime
    at: datetime
    square_off: bool = True
    hit: StopLossHit | None = None
    target: TargetHit | None = None


@dataclass(frozen=True)
class Left:
    """`is_settled`: flat (or left open on the user's word), and nothing in doubt. Otherwise ask again: an exit never gives up.
    `is_void`: the reason is of a plan that no longer holds; nothing was done."""

    is_settled: bool
    waiting_for: str = ""
    is_void: bool = False


@dataclass(frozen=True)
class ChangeRun:
    run_id: str
    sell_at: datetime | None
    stop_loss: Decimal | None
    at: datetime


@dataclass(frozen=True)
class RunChanged:
    """`refusal` is empty when the change was taken."""

    sell_at: datetime
    stop_loss: Decimal
    stop_version: int
    refusal: str = ""
    message: str = ""


@dataclass(frozen=True)
class Finish:
    """`reason` is given when nothing was attempted (missed, denied); otherwise the rows decide."""

    run_id: str
    at: datetime
    reason: EndReason | None = None
    detail: str = ""


@dataclass(frozen=True)
class PrepareRuns:
    """Start what repeats on this trading day, in pages: strategies with an id above `after`."""

    trading_day: date
    after: str
    at: datetime


@dataclass(frozen=True)
class NotStarted:
    strategy_id: str
    why: str


@dataclass(frozen=True)
class PreparedRuns:
    """Rows are written; each of these needs its workflow. `last` is empty when there are no more pages."""

    runs: tuple[StrategyInput, ...]
    not_started: tuple[NotStarted, ...] = ()
    last: str = ""


@dataclass(frozen=True)
class ReconcileAccounts:
    """One batch: the accounts after that id. `at`: when the round began."""

    after: str
    at: datetime


@dataclass(frozen=True)
class AccountsReconciled:
    """`last`: the batch's last account, empty when it was the last batch; `left`: accounts still to come."""

    compared: int = 0
    differences: int = 0
    unread: int = 0
    last: str = ""
    left: int = 0


@dataclass(frozen=True)
class CheckAccounts:
    """One batch: the accounts after that id, looked at for the day. `check_time`: which of the morning's looks, `HH:MM`."""

    trading_day: date
    check_time: str
    after: str
    at: datetime


@dataclass(frozen=True)
class AccountsChecked:
    """`last`: the batch's last account, empty when it was the last batch."""

    checked: int = 0
    not_ready: int = 0
    last: str = ""


@dataclass(frozen=True)
class ReconcileResult:
    """What one round over all accounts came to."""

    compared: int = 0
    differences: int = 0
    unread: int = 0


# --- the playground ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlaygroundInput:
    """A simulation or backtest; everything else is in its row."""

    job_id: str
    user_id: str


@dataclass(frozen=True)
class Reckoned:
    """`play_seconds`: how long a simulated day is shown at the chosen speed, 0 at once. `is_over`: its row says how it ended."""

    play_seconds: float = 0.0
    is_over: bool = False


@dataclass(frozen=True)
class EndPlaying:
    """`failure` in words for the user; empty: it went well. `is_cancelled` beats both."""

    job_id: str
    is_cancelled: bool = False
    failure: str = ""


@dataclass(frozen=True)
class PlaygroundProgress:
    """What the query `progress` answers: waiting, reckoning, showing or over; since when it is shown, and for how long in all."""

    stage: str
    shown_since: datetime | None = None
    play_seconds: float = 0.0
