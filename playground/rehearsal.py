"""One plan over one day of prices, order by order: the platform's own planner of orders against a stand-in exchange in memory.

What decides is what decides live: `next_steps` says what each order row needs next, `protected_limit` prices it, `follow` judges
what the exchange says, `how_it_ended` names the end. What is not here is everything around it: no database, no network, no
broker, no listener, no faults. Nothing in this package can reach an account.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from playground.bars import SCALE, Bars, to_instant, to_rupees
from playground.engine import with_slippage
from playground.setup import Rules
from trading.bands import protected_limit
from trading.endings import EntryFacts, RunFacts, how_it_ended
from trading.fills import Progress, TradeSum, follow
from trading.instruments import Instrument
from trading.next_step import (
    ArmExit,
    AttemptView,
    Cancel,
    Fire,
    HandOver,
    Modify,
    ResizeArmed,
    RunView,
    Step,
    Supersede,
    is_settled,
    next_steps,
)
from trading.orders import BrokerOrder, BrokerOrderStatus, Leg, OrderState, SupersededFor
from trading.plan import Plan
from trading.runs import EndReason, ExitReason, Holding
from trading.schedule import RunWindow
from trading.trailing import trailed

ZERO = Decimal(0)
# How long an entry may rest before what is missing is cancelled.
ENTRY_DEADLINE = timedelta(seconds=30)
# A plan that has not come to rest after so many steps at one price never will.
MOST_STEPS = 20


@dataclass(frozen=True, slots=True)
class Event:
    """One line of what happened."""

    at: datetime
    kind: str
    message: str
    price: Decimal | None = None
    quantity: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the day ended. `end_reason` None: the prices ended first, and nothing is known."""

    events: tuple[Event, ...]
    holding: Holding
    end_reason: EndReason | None
    detail: str


@dataclass(slots=True)
class _Row:
    """One attempt, as the database would have it, with the limit it rests at."""

    leg: Leg
    view: AttemptView
    limit: Decimal = ZERO
    progress: Progress = field(default_factory=lambda: Progress(OrderState.ARMED, 0, ZERO))
    value: Decimal = ZERO
    superseded_for: SupersededFor | None = None

    def become(self, state: OrderState, now: datetime, **changes: object) -> None:
        ended = {} if state in (OrderState.ARMED, OrderState.OPEN) else {"ended_at": now}
        self.view = replace(self.view, state=state, **{**ended, **changes})  # type: ignore[arg-type]


class Rehearsal:
    """Feed it prices in order of time; it trades the plan by the platform's rules."""

    def __init__(self, plan: Plan, window: RunWindow, *, instrument: Instrument, rules: Rules) -> None:
        self._plan = plan
        self._window = window
        self._instrument = instrument
        self._rules = rules
        self._stop = plan.stop_loss
        self._highest = ZERO
        self._entries: list[_Row] = []
        self._exits: list[_Row] = []
        self._exit_reason: ExitReason | None = None
        self._exit_wanted_at: datetime | None = None
        self._handed_over = False
        self._events: list[Event] = []
        self._ended = False

    def price(self, at: datetime, price: Decimal) -> bool:
        """One price of the market; False once the run has ended."""
        if self._ended:
            return False
        if at < self._window.buy_at:
            return True
        if not self._entries:
            self._arm_entry(at)
        self._match(at, price)
        self._watch(at, price)
        for _ in range(MOST_STEPS):
            steps = next_steps(self._view(), at)
            if not steps:
                break
            for step in steps:
                self._carry_out(step, at, price)
        self._follow(price)
        self._ended = bool(self._entries) and is_settled(self._view(), at)
        return not self._ended

    def outcome(self) -> Outcome:
        holding = self._holding()
        if not self._ended:
            return Outcome(tuple(self._events), holding, None, "the prices end before the run does")
        facts = [EntryFacts(row.view.state, row.superseded_for, "") for row in self._entries]
        reason, detail = how_it_ended(
            RunFacts(
                holding,
                facts,
                exit_reason=self._exit_reason,
                leave_open=False,
                stop_requested=False,
                handed_over=self._handed_over,
            )
        )
        return Outcome(tuple(self._events), holding, reason, detail)

    # --- what the workflow and the listener do ---------------------------------------------------------------------------

    def _arm_entry(self, at: datetime) -> None:
        view = AttemptView(
            "entry-1",
            1,
            OrderState.ARMED,
            self._plan.quantity,
            0,
            wanted_at=at,
            fire_at=self._window.buy_at,
            deadline_at=self._window.buy_at + max(ENTRY_DEADLINE, timedelta(seconds=self._rules.stale_after_seconds)),
        )
        self._entries.append(_Row(Leg.ENTRY, view))
        self._tell(at, "entry_due", "the buy time has come")

    def _watch(self, at: datetime, price: Decimal) -> None:
        if not self._is_watched:
            return
        reason = self._reason_to_leave(at, price)
        if reason is ExitReason.STOP_LOSS:
            risen = "" if self._stop == self._plan.stop_loss else f", which has followed the price to {self._stop}"
            self._tell(at, "stop_loss", f"the price is at or below the stop-loss{risen}: sell at once", price=price)
        elif reason is ExitReason.TARGET:
            self._tell(
                at, "target_hit", f"the price is at or above the target {self._plan.target_price}: sell at once", price=price
            )
        elif reason is ExitReason.SELL_TIME:
            self._tell(at, "sell_time", "the sell time has come", price=price)
        if reason is not None:
            self._want_out(at, reason)

    @property
    def _is_watched(self) -> bool:
        return self._holding().bought > 0 and self._exit_reason is None

    def _reason_to_leave(self, at: datetime, price: Decimal) -> ExitReason | None:
        """In the same instant stop and target beat the sell time; a moment later the sale has begun."""
        if at <= self._window.sell_at:
            if price <= self._stop:
                return ExitReason.STOP_LOSS
            if self._is_target(price):
                return ExitReason.TARGET
        return ExitReason.SELL_TIME if at >= self._window.sell_at else None

    def _is_target(self, price: Decimal) -> bool:
        return self._plan.target_price is not None and price >= self._plan.target_price

    def _follow(self, price: Decimal) -> None:
        """A stop that trails rises with the price, from the purchase on and until the sale begins."""
        if self._plan.trail is not None and self._is_watched:
            self._highest = max(self._highest, price)
            self._stop = trailed(self._stop, trail=self._plan.trail, highest=self._highest, tick_size=self._instrument.tick_size)

    def _want_out(self, at: datetime, reason: ExitReason) -> None:
        self._exit_reason, self._exit_wanted_at = reason, at

    # --- what the desk does --------------------------------------------------------------------------------------------------

    def _carry_out(self, step: Step, at: datetime, price: Decimal) -> None:
        if isinstance(step, Fire):
            self._fire(self._row(step.order_id), at, price)
        elif isinstance(step, ArmExit):
            wanted_at = at if step.wanted else None
            view = AttemptView(
                f"exit-{step.attempt}",
                step.attempt,
                OrderState.ARMED,
                step.quantity,
                0,
                band_step=step.band_step,
                wanted_at=wanted_at,
                fire_at=self._window.sell_at,
            )
            self._exits.append(_Row(Leg.EXIT, view))
            self._tell(at, "exit_armed", f"{step.quantity} are covered by a stop at {self._stop}")
        elif isinstance(step, ResizeArmed):
            row = self._row(step.order_id)
            row.view = replace(row.view, quantity=step.quantity)
        elif isinstance(step, Modify):
            self._modify(self._row(step.order_id), step, at, price)
        elif isinstance(step, Cancel):
            row = self._row(step.order_id)
            row.become(OrderState.CANCELLED, at, cancel_wanted_at=at)
            self._tell(at, "cancelled", f"the rest of the {row.leg.value} was cancelled")
        elif isinstance(step, Supersede):
            row = self._row(step.order_id)
            row.become(OrderState.SUPERSEDED, at)
            row.superseded_for = step.why
        elif isinstance(step, HandOver):
            self._handed_over = True
            self._tell(at, "handed_over", "the last moment has come with shares unsold: from now on a person looks after them")

    def _fire(self, row: _Row, at: datetime, price: Decimal) -> None:
        if row.leg is Leg.ENTRY and price <= self._plan.stop_loss:
            row.become(OrderState.SUPERSEDED, at)
            row.superseded_for = SupersededFor.PRICE_AT_STOP
            self._tell(at, "entry_skipped", "the price is at or below the stop-loss: nothing is bought", price=price)
            return
        if row.leg is Leg.ENTRY and self._is_target(price):
            row.become(OrderState.SUPERSEDED, at)
            row.superseded_for = SupersededFor.PRICE_AT_TARGET
            self._tell(at, "entry_skipped", "the price is at or above the target: nothing is bought", price=price)
            return
        row.limit = protected_limit(row.leg.side, last_price=price, instrument=self._instrument, step=row.view.band_step)
        row.become(OrderState.OPEN, at, touched_at=at)
        row.progress = replace(row.progress, state=OrderState.OPEN)
        words = (
            f"{row.leg.side.value} {row.view.quantity} at most at"
            if row.leg is Leg.ENTRY
            else f"SELL {row.view.quantity} at least at"
        )
        self._tell(at, "order_sent", f"{words} {row.limit}", price=row.limit, quantity=row.view.quantity)
        self._match(at, price)

    def _modify(self, row: _Row, step: Modify, at: datetime, price: Decimal) -> None:
        row.limit = protected_limit(row.leg.side, last_price=price, instrument=self._instrument, step=step.band_step)
        row.view = replace(
            row.view, quantity=step.quantity, band_step=step.band_step, modifications=row.view.modifications + 1, touched_at=at
        )
        self._tell(at, "order_repriced", f"not filled: the limit is now {row.limit}", price=row.limit, quantity=step.quantity)
        self._match(at, price)

    # --- the stand-in exchange ------------------------------------------------------------------------------------------------

    def _match(self, at: datetime, price: Decimal) -> None:
        """Whatever rests and is reached by this price is filled whole, worse by the slippage but never beyond its limit."""
        for row in (*self._entries, *self._exits):
            if row.view.state is not OrderState.OPEN:
                continue
            buying = row.leg is Leg.ENTRY
            if (price > row.limit) if buying else (price < row.limit):
                continue
            tick = int(self._instrument.tick_size * SCALE)
            slipped = to_rupees(with_slippage(int(price * SCALE), self._rules, tick, buying=buying))
            at_price = min(slipped, row.limit) if buying else max(slipped, row.limit)
            row.value = at_price * row.view.quantity
            seen = BrokerOrder(
                row.view.order_id,
                None,
                self._instrument.id,
                self._plan.product,
                row.leg.side,
                row.view.quantity,
                row.view.quantity,
                row.limit,
                at_price,
                BrokerOrderStatus.COMPLETE,
                "",
                at,
            )
            row.progress = follow(row.progress, seen, TradeSum(row.view.quantity, row.value))
            row.become(row.progress.state, at, filled_quantity=row.progress.filled_quantity)
            verb = "bought" if buying else "sold"
            self._tell(at, verb, f"{verb} {row.view.quantity} at {at_price}", price=at_price, quantity=row.view.quantity)

    # --- views ----------------------------------------------------------------------------------------------------------------

    def _holding(self) -> Holding:
        return Holding(
            sum(row.progress.filled_quantity for row in self._entries),
            sum((row.value for row in self._entries), ZERO),
            sum(row.progress.filled_quantity for row in self._exits),
            sum((row.value for row in self._exits), ZERO),
        )

    def _view(self) -> RunView:
        holding = self._holding()
        return RunView(
            self._plan.quantity,
            holding.bought,
            holding.sold,
            entries=tuple(row.view for row in self._entries),
            exits=tuple(row.view for row in self._exits),
            exit_wanted_at=self._exit_wanted_at,
            hand_over_at=self._window.hand_over_at,
            is_handed_over=self._handed_over,
        )

    def _row(self, order_id: str) -> _Row:
        return next(row for row in (*self._entries, *self._exits) if row.view.order_id == order_id)

    def _tell(self, at: datetime, kind: str, message: str, *, price: Decimal | None = None, quantity: int | None = None) -> None:
        self._events.append(Event(at, kind, message, price, quantity))


def prices_of(bars: Bars, *, target: Decimal | None = None) -> Iterator[tuple[datetime, Decimal]]:
    """A bar as prices in the order that is worst for a stop: open, low, high, close, spread over its length. On its way up it
    passes the `target`: sold at the high, a plan would look better than it is."""
    eighth = bars.bar_ms // 8
    passed = None if target is None else int(target * SCALE)
    for start, opened, high, low, close in zip(
        bars.start.tolist(), bars.open.tolist(), bars.high.tolist(), bars.low.tolist(), bars.close.tolist(), strict=True
    ):
        if not eighth:
            yield to_instant(start), to_rupees(opened)
            continue
        way = [(0, opened), (2, low), (4, high), (6, close)]
        if passed is not None and low < passed < high:
            way.insert(2, (3, passed))
        for part, units in way:
            yield to_instant(start + part * eighth), to_rupees(units)


def rehearse(plan: Plan, window: RunWindow, bars: Bars, *, instrument: Instrument, rules: Rules) -> Outcome:
    """The whole day at once."""
    rehearsal = Rehearsal(plan, window, instrument=instrument, rules=rules)
    for at, price in prices_of(bars, target=plan.target_price):
        if not rehearsal.price(at, price):
            break
    return rehearsal.outcome()
