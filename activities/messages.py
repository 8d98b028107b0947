"""What travels between workflows, activities and signals: frozen data, ids and plain values, never a secret.

New fields get defaults, so that histories written by older code still replay.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from trading.runs import EndReason, ExitReason, Position, RunState


@dataclass(frozen=True)
class StrategyInput:
    """All a day of a strategy needs. Instants are aware UTC; `lead_seconds`: how long before buy_at the entry is armed."""

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


@dataclass(frozen=True)
class StopLossHit:
    """From the listener. `trigger_id` makes repeats harmless."""

    symbol: str
    price: Decimal
    stop_version: int
    trigger_id: str
    at: datetime


@dataclass(frozen=True)
class StopRequested:
    """From the API: a user's stop. `square_off` false leaves the position as it is."""

    square_off: bool
    requested_by: str
    at: datetime


@dataclass(frozen=True)
class CredentialsRenewed:
    account_id: str
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
