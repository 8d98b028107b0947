"""One day of one strategy: its states, its position, why it ended, what it earned."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

ZERO = Decimal(0)
PAISA = Decimal("0.01")


class StrategyState(str, Enum):
    CREATED = "created"
    RUNNING = "running"
    STOPPED = "stopped"
    COMPLETED = "completed"
    FAILED = "failed"


class RunState(str, Enum):
    """`scheduled` sleeps until its buy time; `entering` buys; `holding` watches; `leaving` sells; `ended` is over for us."""

    SCHEDULED = "scheduled"
    ENTERING = "entering"
    HOLDING = "holding"
    LEAVING = "leaving"
    ENDED = "ended"


OPEN_RUN_STATES = (RunState.SCHEDULED, RunState.ENTERING, RunState.HOLDING, RunState.LEAVING)


class Position(str, Enum):
    """What the apps show."""

    NONE = "NONE"
    BOUGHT = "BOUGHT"
    SOLD = "SOLD"
    EXITED_BY_SL = "EXITED_BY_SL"


class LastAction(str, Enum):
    BUY = "BUY"
    SELL = "SELL"
    SL_HIT = "SL_HIT"


class EndReason(str, Enum):
    SOLD_AT_TIME = "sold_at_time"
    STOP_LOSS = "stop_loss"
    TARGET = "target"
    STOPPED_BY_USER = "stopped_by_user"
    LEFT_OPEN_BY_USER = "left_open_by_user"
    CLOSED_ELSEWHERE = "closed_elsewhere"
    ENTRY_FAILED = "entry_failed"
    ENTRY_SKIPPED = "entry_skipped"
    MISSED = "missed"
    KILL_SWITCH = "kill_switch"
    HANDED_OVER = "handed_over"


class ExitReason(str, Enum):
    """Why an exit is wanted. The order of the members is their rank: an earlier one beats a later one."""

    STOP_LOSS = "stop_loss"
    KILL_SWITCH = "kill_switch"
    USER_STOP = "user_stop"
    TARGET = "target"
    SELL_TIME = "sell_time"
    LATE_FILL = "late_fill"

    def beats(self, other: "ExitReason") -> bool:
        ranks = list(ExitReason)
        return ranks.index(self) < ranks.index(other)


END_REASON_OF_EXIT: dict[ExitReason, EndReason] = {
    ExitReason.STOP_LOSS: EndReason.STOP_LOSS,
    ExitReason.KILL_SWITCH: EndReason.KILL_SWITCH,
    ExitReason.USER_STOP: EndReason.STOPPED_BY_USER,
    ExitReason.TARGET: EndReason.TARGET,
    ExitReason.SELL_TIME: EndReason.SOLD_AT_TIME,
    ExitReason.LATE_FILL: EndReason.ENTRY_FAILED,
}

STRATEGY_STATE_OF_END: dict[EndReason, StrategyState] = {
    EndReason.SOLD_AT_TIME: StrategyState.COMPLETED,
    EndReason.STOP_LOSS: StrategyState.COMPLETED,
    EndReason.TARGET: StrategyState.COMPLETED,
    EndReason.CLOSED_ELSEWHERE: StrategyState.COMPLETED,
    EndReason.ENTRY_SKIPPED: StrategyState.COMPLETED,
    EndReason.STOPPED_BY_USER: StrategyState.STOPPED,
    EndReason.LEFT_OPEN_BY_USER: StrategyState.STOPPED,
    EndReason.KILL_SWITCH: StrategyState.STOPPED,
    EndReason.ENTRY_FAILED: StrategyState.FAILED,
    EndReason.MISSED: StrategyState.FAILED,
    EndReason.HANDED_OVER: StrategyState.FAILED,
}


@dataclass(frozen=True, slots=True)
class Holding:
    """A run's own shares, by its own fills. Values in rupees."""

    bought: int = 0
    buy_value: Decimal = ZERO
    sold: int = 0
    sell_value: Decimal = ZERO
    taken_elsewhere: int = 0

    @property
    def open_quantity(self) -> int:
        return self.bought - self.sold - self.taken_elsewhere

    @property
    def is_flat(self) -> bool:
        return self.open_quantity == 0

    @property
    def realised_pnl(self) -> Decimal:
        """Profit on what was sold, in rupees to the paisa, before the broker's charges."""
        if not self.bought or not self.sold:
            return ZERO
        cost_of_sold = self.buy_value * self.sold / self.bought
        return (self.sell_value - cost_of_sold).quantize(PAISA)

    def unrealised_pnl(self, last_price: Decimal) -> Decimal:
        """Profit on what is still held at that price, in rupees to the paisa."""
        if not self.bought or self.open_quantity <= 0:
            return ZERO
        average = self.buy_value / self.bought
        return ((last_price - average) * self.open_quantity).quantize(PAISA)

    def position(self, exit_reason: ExitReason | None) -> Position:
        if not self.bought:
            return Position.NONE
        if self.open_quantity > 0:
            return Position.BOUGHT
        return Position.EXITED_BY_SL if exit_reason is ExitReason.STOP_LOSS else Position.SOLD
