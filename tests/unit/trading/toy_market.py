"""A run's rows, the desk that carries out the planner's steps, and an exchange: as small as they can be and still go wrong.

What is written as a row here is written as a row there: the claim, write-ahead changes, following and proofs of absence keep the
rules of the order protocol. Nothing happens by itself: whoever holds the toy decides what the broker does and when.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.unit.trading.samples import TCS
from trading.fills import Progress, TradeSum, follow
from trading.next_step import (
    ArmExit,
    AttemptView,
    Cancel,
    Fire,
    Modify,
    ResizeArmed,
    RetryEntry,
    RunView,
    Step,
    Supersede,
    is_settled,
    next_steps,
)
from trading.orders import (
    DEAD_STATES,
    IN_DOUBT_STATES,
    LIVE_STATES,
    BrokerOrder,
    BrokerOrderStatus,
    Leg,
    OrderState,
    RefusalKind,
    can_become,
)

START = datetime(2026, 11, 20, 3, 50, tzinfo=UTC)
QUANTITY = 10
ENTRY_DEADLINE = timedelta(seconds=20)
SELL_AFTER = timedelta(minutes=10)
# Before that nobody calls an order in doubt absent, or a change without an answer over: 2 s to send, 5 s timeout, 3 s to settle.
RESOLVED_AFTER = timedelta(seconds=10)
PRICE = Decimal(3500)
# A plan that has not come to rest after so many rounds never will.
ROUNDS = 12


@dataclass(slots=True)
class ExchangeOrder:
    """The truth about an order that has landed."""

    quantity: int
    filled: int = 0
    status: BrokerOrderStatus = BrokerOrderStatus.OPEN
    landed_after_absence: bool = False
    modifications: int = 0

    @property
    def is_open(self) -> bool:
        return self.status is BrokerOrderStatus.OPEN

    @property
    def may_still_fill(self) -> int:
        return self.quantity - self.filled if self.is_open else 0

    def fill(self, quantity: int) -> None:
        self.filled += min(quantity, self.may_still_fill)
        if self.filled == self.quantity:
            self.status = BrokerOrderStatus.COMPLETE

    def resize(self, quantity: int) -> bool:
        if not self.is_open or quantity <= self.filled:
            return False
        self.quantity = quantity
        self.modifications += 1
        return True

    def cancel(self) -> bool:
        if not self.is_open:
            return False
        self.status = BrokerOrderStatus.CANCELLED
        return True


@dataclass(slots=True)
class Row:
    """One attempt as the database has it, and beside it what the exchange knows of it (`order`)."""

    order_id: str
    leg: Leg
    attempt: int
    quantity: int
    fire_at: datetime
    band_step: int = 0
    state: OrderState = OrderState.ARMED
    filled: int = 0
    modifications: int = 0
    accepted: int = 0  # modifications of the order at the exchange that the row knows of: there it is the price that shows it
    change: Cancel | Modify | None = None
    changed_at: datetime | None = None
    cancel_wanted_at: datetime | None = None
    wanted_at: datetime | None = None
    deadline_at: datetime | None = None
    claimed_at: datetime | None = None
    touched_at: datetime | None = None
    ended_at: datetime | None = None
    refusal: RefusalKind | None = None
    answered: bool = False
    order: ExchangeOrder | None = None
    may_land: bool = False  # sent, not at the exchange yet, and perhaps never

    @property
    def is_live(self) -> bool:
        return self.state in LIVE_STATES

    @property
    def in_doubt(self) -> bool:
        return self.state in IN_DOUBT_STATES

    def view(self) -> AttemptView:
        return AttemptView(
            order_id=self.order_id,
            attempt=self.attempt,
            state=self.state,
            quantity=self.quantity,
            filled_quantity=self.filled,
            band_step=self.band_step,
            modifications=self.modifications,
            change_pending=self.change is not None,
            cancel_wanted_at=self.cancel_wanted_at,
            wanted_at=self.wanted_at,
            fire_at=self.fire_at,
            deadline_at=self.deadline_at,
            touched_at=self.touched_at or self.claimed_at,
            ended_at=self.ended_at,
            refusal=self.refusal,
        )


@dataclass(slots=True)
class ToyMarket:
    now: datetime = START
    rows: list[Row] = field(default_factory=list)
    exit_wanted_at: datetime | None = None
    leave_open: bool = False
    entries_locked: bool = False
    session_since: datetime = START - timedelta(hours=1)
    taken_elsewhere: int = 0
    sell_at: datetime = START + SELL_AFTER
    has_ended: bool = False
    head_start: bool = True  # the desk fires what is due by itself; without it only the workflow's wishes count

    def __post_init__(self) -> None:
        first = Row("entry-1", Leg.ENTRY, 1, QUANTITY, fire_at=START, deadline_at=START + ENTRY_DEADLINE)
        self.rows.append(first)

    # --- looking ------------------------------------------------------------------------------------------------------

    def of(self, leg: Leg) -> list[Row]:
        return [row for row in self.rows if row.leg is leg]

    @property
    def bought(self) -> int:
        return sum(row.filled for row in self.of(Leg.ENTRY))

    @property
    def sold(self) -> int:
        return sum(row.filled for row in self.of(Leg.EXIT))

    @property
    def open_quantity(self) -> int:
        return self.bought - self.sold - self.taken_elsewhere

    @property
    def wants_out(self) -> bool:
        return self.exit_wanted_at is not None or self.leave_open

    @property
    def is_settled(self) -> bool:
        return is_settled(self.view(), self.now)

    def view(self) -> RunView:
        return RunView(
            quantity=QUANTITY,
            bought=self.bought,
            sold=self.sold,
            taken_elsewhere=self.taken_elsewhere,
            entries=tuple(row.view() for row in self.of(Leg.ENTRY)),
            exits=tuple(row.view() for row in self.of(Leg.EXIT)),
            exit_wanted_at=self.exit_wanted_at,
            leave_open=self.leave_open,
            entries_locked=self.entries_locked,
            session_since=self.session_since,
            fires_by_itself=self.head_start,
        )

    # --- the desk -----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Carry out what the planner wants until it wants nothing more."""
        for _ in range(ROUNDS):
            steps = next_steps(self.view(), self.now)
            if not steps:
                return
            for step in steps:
                self._carry_out(step)
        raise AssertionError(f"the plan does not come to rest: {next_steps(self.view(), self.now)}")

    def _carry_out(self, step: Step) -> None:
        if isinstance(step, RetryEntry):
            assert step.attempt == len(self.of(Leg.ENTRY)) + 1
            row = Row(f"entry-{step.attempt}", Leg.ENTRY, step.attempt, step.quantity, fire_at=self.now)
            row.deadline_at = step.deadline_at
            self._add(row)
        elif isinstance(step, ArmExit):
            assert step.attempt == len(self.of(Leg.EXIT)) + 1
            row = Row(f"exit-{step.attempt}", Leg.EXIT, step.attempt, step.quantity, fire_at=self.sell_at)
            row.band_step = step.band_step
            row.wanted_at = (self.exit_wanted_at or self.now) if step.wanted else None
            self._add(row)
        else:
            self._change(self.row(step.order_id), step)

    def row(self, order_id: str) -> Row:
        return next(row for row in self.rows if row.order_id == order_id)

    def _add(self, row: Row) -> None:
        assert not any(other.is_live for other in self.of(row.leg)), "a second live attempt of a leg"
        assert row.quantity > 0
        if row.leg is Leg.ENTRY:
            self._check_entry_may_begin(row)
        self.rows.append(row)

    def _check_entry_may_begin(self, row: Row) -> None:
        assert not self.wants_out, "an entry step although the run leaves"
        assert not self.entries_locked, "an entry step behind the kill switch"
        assert row.deadline_at is None or self.now < row.deadline_at, "an entry step after the deadline"
        assert self.bought + row.quantity <= QUANTITY, "more is bought than the plan says"

    def _change(self, row: Row, step: Supersede | Cancel | Fire | ResizeArmed | Modify) -> None:
        if isinstance(step, Supersede):
            self._move(row, OrderState.SUPERSEDED)
        elif isinstance(step, ResizeArmed):
            assert row.state is OrderState.ARMED
            assert step.quantity == self.open_quantity
            row.quantity = step.quantity
        elif isinstance(step, Fire):
            assert self.claim(row), "the planner fires what the claim refuses"
        else:
            assert row.state is OrderState.OPEN
            assert row.change is None, "a second change while one is under way"
            row.change, row.changed_at, row.touched_at = step, self.now, self.now
            if isinstance(step, Cancel):
                row.cancel_wanted_at = self.now
            elif row.leg is Leg.EXIT:
                assert row.filled < step.quantity <= row.filled + self.open_quantity, "a change that would sell too much"

    def _move(self, row: Row, state: OrderState) -> None:
        assert can_become(row.state, state), f"{row.state} cannot become {state}"
        if state in DEAD_STATES and row.state is not state:
            row.ended_at, row.change = self.now, None
        row.state = state

    def claim(self, row: Row, *, by_condition: bool = False) -> bool:
        """`armed -> sending` under the claim's own conditions. `by_condition`: its stop was hit or its time has come."""
        if row.state is not OrderState.ARMED:
            return False
        if row.leg is Leg.ENTRY:
            due = row.fire_at <= self.now or row.wanted_at is not None
            in_time = row.deadline_at is None or self.now < row.deadline_at
            may = due and in_time and not self.wants_out and not self.entries_locked
        else:
            due = by_condition or row.fire_at <= self.now or self.exit_wanted_at is not None or row.wanted_at is not None
            may = due and not self.leave_open and 1 <= row.quantity <= self.open_quantity
        if may:
            self._move(row, OrderState.SENDING)
            row.claimed_at, row.wanted_at, row.answered = self.now, row.wanted_at or self.now, False
        return may

    # --- answers ------------------------------------------------------------------------------------------------------

    def placed(self, row: Row) -> None:
        self._note_wish(row)
        self.land(row)
        row.answered = True
        if row.in_doubt:
            self._move(row, OrderState.OPEN)
            row.touched_at = self.now

    def refused(self, row: Row, kind: RefusalKind) -> None:
        self._note_wish(row)
        row.answered, row.may_land = True, False
        self._move(row, OrderState.REJECTED)
        row.refusal = kind

    def unknown(self, row: Row, *, lands: bool, may_land: bool = False, recorded: bool = True) -> None:
        """No clear answer; not even that is `recorded` when the process died. It has landed, may land late, or never will."""
        row.answered, row.may_land = True, may_land
        if lands:
            self.land(row)
        if recorded:
            self._note_wish(row)
            self._move(row, OrderState.UNKNOWN)

    def land(self, row: Row) -> None:
        row.may_land = False
        row.order = row.order or ExchangeOrder(row.quantity, landed_after_absence=row.state is OrderState.ABSENT)

    def _note_wish(self, row: Row) -> None:
        """An exit that was claimed is wanted, whatever becomes of this attempt."""
        if row.leg is Leg.EXIT and self.exit_wanted_at is None:
            self.exit_wanted_at = row.wanted_at

    def change_answered(self, row: Row, *, taken: bool, heard: bool = True, refusal: RefusalKind | None = None) -> None:
        """`taken`: the exchange does it if it still can; not `heard`: nobody learns how it went until the book shows it."""
        change = row.change
        assert change is not None
        assert row.order is not None
        quantity = change.quantity if isinstance(change, Modify) else 0
        done = taken and (row.order.resize(quantity) if isinstance(change, Modify) else row.order.cancel())
        if not heard:
            return
        if done and isinstance(change, Modify):
            row.quantity, row.band_step, row.modifications = change.quantity, change.band_step, row.modifications + 1
            row.accepted = row.order.modifications
        if not done and refusal is RefusalKind.BUDGET:
            row.modifications = max(row.modifications, 1_000)
        row.change = None

    # --- the book -----------------------------------------------------------------------------------------------------

    def look(self, row: Row, *, trades: int | None) -> None:
        """Read one order from the book; `trades` is how many shares the trade book lists by now, None if it was not read."""
        if row.order is None:
            return
        order = row.order
        self._settle_change(row, order)
        average = PRICE if order.filled else Decimal(0)
        seen = BrokerOrder(
            row.order_id, None, TCS, None, row.leg.side, order.quantity, order.filled, PRICE, average, order.status, "", None
        )
        book = None if trades is None else TradeSum(trades, trades * PRICE)
        after = follow(Progress(row.state, row.filled, PRICE), seen, book)
        row.filled = after.filled_quantity
        if row.leg is Leg.EXIT and row.wanted_at is not None:
            self._note_wish(row)
        self._adopt(row, after.state)
        if self.has_ended and self.open_quantity > 0 and not self.leave_open:
            self.exit_wanted_at = self.exit_wanted_at or self.now
        if row.state in (OrderState.ABSENT, OrderState.REJECTED) and order.is_open:
            # Held dead and alive after all: taken back at once.
            order.cancel()

    def _adopt(self, row: Row, state: OrderState) -> None:
        if state is OrderState.OPEN and row.state in DEAD_STATES:
            return
        if row.in_doubt:
            row.touched_at = self.now
        if can_become(row.state, state):
            self._move(row, state)

    def _settle_change(self, row: Row, order: ExchangeOrder) -> None:
        if row.change is None or row.changed_at is None or self.now < row.changed_at + RESOLVED_AFTER:
            return
        if isinstance(row.change, Modify) and order.modifications != row.accepted:
            row.modifications += 1
            row.quantity, row.accepted = order.quantity, order.modifications
        row.change = None

    def prove_absent(self, row: Row) -> None:
        """Two fresh reads of a healthy book did not list it."""
        assert row.in_doubt
        assert row.order is None
        if row.leg is Leg.EXIT:
            self._note_wish(row)
        self._move(row, OrderState.ABSENT)

    # --- people -------------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """What the workflow asks for at the stop, at the sell time, or on a stop request."""
        self._supersede_armed(Leg.ENTRY)
        if not self.leave_open and self.open_quantity != 0:
            self.exit_wanted_at = self.exit_wanted_at or self.now

    def stop(self, *, square_off: bool) -> None:
        self._supersede_armed(Leg.ENTRY)
        if square_off:
            self.exit_wanted_at = self.exit_wanted_at or self.now
        else:
            self.leave_open = True
            self._supersede_armed(Leg.EXIT)

    def _supersede_armed(self, leg: Leg) -> None:
        for row in self.of(leg):
            if row.state is OrderState.ARMED:
                self._move(row, OrderState.SUPERSEDED)
