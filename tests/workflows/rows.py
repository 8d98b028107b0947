"""The rows of one run, in memory: what the fake activities read and write, judged by the real rules of trading/."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from activities.messages import Begun, StrategyInput, StrategyResult
from trading.endings import EntryFacts, RunFacts, how_it_ended
from trading.next_step import AttemptView, RunView, entry_is_over, is_settled
from trading.orders import LIVE_STATES, OrderState, SupersededFor
from trading.runs import EndReason, ExitReason, Holding, Position, RunState

BUY_PRICE = Decimal("3600")
SELL_PRICE = Decimal("3650")


@dataclass
class OrderRow:
    attempt: int
    quantity: int
    state: OrderState = OrderState.ARMED
    filled_quantity: int = 0
    superseded_for: SupersededFor | None = None
    message: str = ""

    def end(self, state: OrderState, *, filled: int = 0, message: str = "") -> None:
        self.state, self.filled_quantity, self.message = state, filled, message

    def supersede(self, why: SupersededFor) -> None:
        self.state, self.superseded_for = OrderState.SUPERSEDED, why

    def view(self) -> AttemptView:
        return AttemptView(f"ord_{self.attempt}", self.attempt, self.state, self.quantity, self.filled_quantity)


@dataclass
class RunRow:
    """`ended_times`: how often the row went from open to ended."""

    plan: StrategyInput
    sell_at: datetime
    stop_loss: Decimal
    stop_version: int
    state: RunState = RunState.SCHEDULED
    entries: list[OrderRow] = field(default_factory=list)
    exits: list[OrderRow] = field(default_factory=list)
    taken_elsewhere: int = 0
    exit_reason: ExitReason | None = None
    exit_wanted_at: datetime | None = None
    leave_open: bool = False
    stop_requested: bool = False
    end_reason: EndReason | None = None
    end_detail: str = ""
    ended_times: int = 0

    @classmethod
    def of(cls, plan: StrategyInput) -> "RunRow":
        return cls(plan, plan.sell_at, plan.stop_loss, plan.stop_version)

    @property
    def holding(self) -> Holding:
        bought = sum(order.filled_quantity for order in self.entries)
        sold = sum(order.filled_quantity for order in self.exits)
        return Holding(bought, bought * BUY_PRICE, sold, sold * SELL_PRICE, self.taken_elsewhere)

    @property
    def is_alive(self) -> bool:
        return any(order.state in LIVE_STATES for order in (*self.entries, *self.exits))

    def view(self) -> RunView:
        holding = self.holding
        return RunView(
            self.plan.quantity,
            holding.bought,
            holding.sold,
            taken_elsewhere=holding.taken_elsewhere,
            entries=tuple(order.view() for order in self.entries),
            exits=tuple(order.view() for order in self.exits),
            exit_wanted_at=self.exit_wanted_at,
            leave_open=self.leave_open,
        )

    def is_settled(self, now: datetime) -> bool:
        return is_settled(self.view(), now)

    def entry_is_over(self, now: datetime) -> bool:
        return entry_is_over(self.view(), now)

    def begun(self) -> Begun:
        return Begun(
            state=self.state,
            entry_exists=bool(self.entries),
            stop_requested=self.stop_requested,
            exit_reason=self.exit_reason,
            sell_at=self.sell_at,
            stop_loss=self.stop_loss,
            stop_version=self.stop_version,
        )

    def want_exit(self, reason: ExitReason, at: datetime) -> None:
        if self.exit_reason is None or reason.beats(self.exit_reason):
            self.exit_reason, self.exit_wanted_at = reason, at

    def take_stop(self, *, square_off: bool, at: datetime) -> None:
        """What the API writes before it tells the workflow."""
        self.give_up_entry()
        if self.stop_requested:
            return
        self.stop_requested = True
        if square_off:
            self.want_exit(ExitReason.USER_STOP, at)
        else:
            self.leave_open = True

    def change_stop(self, stop_loss: Decimal) -> None:
        self.stop_loss, self.stop_version = stop_loss, self.stop_version + 1

    def give_up_entry(self) -> None:
        """What never left never will; what rests is cancelled, and its fills stay."""
        for order in self.entries:
            if order.state is OrderState.ARMED:
                order.supersede(SupersededFor.STOPPED)
            elif order.state is OrderState.OPEN:
                order.end(OrderState.CANCELLED, filled=order.filled_quantity)

    def buy(self) -> None:
        """The entry fills in full."""
        entry = OrderRow(1, self.plan.quantity)
        entry.end(OrderState.FILLED, filled=self.plan.quantity)
        self.entries, self.state = [entry], RunState.HOLDING

    def end(self, reason: EndReason | None, detail: str) -> None:
        """As the rows say; without any order, as the workflow says."""
        entries = [EntryFacts(order.state, order.superseded_for, order.message) for order in self.entries]
        facts = RunFacts(self.holding, entries, self.exit_reason, self.leave_open, self.stop_requested)
        self.end_reason, self.end_detail = how_it_ended(facts)
        if not self.entries and reason is not None:
            self.end_reason, self.end_detail = reason, detail
        self.state = RunState.ENDED
        self.ended_times += 1

    def result(self) -> StrategyResult:
        assert self.end_reason is not None
        holding = self.holding
        return StrategyResult(
            end_reason=self.end_reason,
            detail=self.end_detail,
            position=holding.position(self.exit_reason) if self.entries else Position.NONE,
            bought=holding.bought,
            average_buy_price=BUY_PRICE if holding.bought else None,
            sold=holding.sold,
            average_sell_price=SELL_PRICE if holding.sold else None,
            realised_pnl=holding.realised_pnl,
        )
