"""What the account's desk does with a run's order rows, in a rehearsal: claim, send, look, follow, change.

Each step is the planner's, each judgement a function of `trading/`; what the database sees to live is an `if` here, because
nobody else is there: the conditions of the claim are those of `execution/claim.py`.
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from playground.attempts import Attempt, CannotBe, sums
from playground.market import RehearsalMarket
from playground.timeline import Timeline
from trading.bands import protected_limit
from trading.fills import Progress, TradeSum, follow, sum_trades, trades_of
from trading.instruments import Instrument
from trading.next_step import (
    ArmExit,
    AttemptView,
    Cancel,
    Fire,
    HandOver,
    Modify,
    ResizeArmed,
    RetryEntry,
    RunView,
    Step,
    Supersede,
    next_steps,
)
from trading.orders import (
    Accepted,
    BrokerOrder,
    Leg,
    ModifyRequest,
    OrderRequest,
    OrderState,
    Placed,
    Refused,
    SupersededFor,
)
from trading.plan import Plan
from trading.runs import ExitReason, Holding
from trading.schedule import RunWindow
from trading.tags import make_tag

# A plan that has not come to rest after so many steps at one moment never will.
MOST_STEPS = 20
RUN = "rehearsal"
PRICE_DECIMALS = 4


class RehearsalDesk:
    """The rows of one run. `stop` is where its stop-loss stands now; the run raises it when it trails."""

    def __init__(
        self, plan: Plan, window: RunWindow, *, instrument: Instrument, market: RehearsalMarket, timeline: Timeline
    ) -> None:
        lower, upper = market.limits
        self._plan = plan
        self._window = window
        self._instrument = replace(instrument, lower_circuit=lower, upper_circuit=upper)
        self._market = market
        self._tell = timeline.tell
        self.entries: list[Attempt] = []
        self.exits: list[Attempt] = []
        self.stop = plan.stop_loss
        self.exit_reason: ExitReason | None = None
        self.exit_wanted_at: datetime | None = None
        self.is_handed_over = False
        self._trades_seen = 0

    # --- what is asked of it --------------------------------------------------------------------------------------------------

    def arm_entry(self, now: datetime, *, deadline_at: datetime) -> None:
        """An entry whose instant has come; the planner has it sent."""
        self._arm_entry(1, self._plan.quantity, now, deadline_at)

    def want_out(self, at: datetime, reason: ExitReason) -> None:
        self.exit_reason, self.exit_wanted_at = reason, at

    def work(self, now: datetime) -> None:
        """Look, plan, carry out, until nothing is left to be done at this moment."""
        for _ in range(MOST_STEPS):
            self._look(now)
            steps = next_steps(self.view(), now)
            if not steps:
                return
            for step in steps:
                self._carry_out(step, now)
        self._look(now)

    @property
    def is_under_way(self) -> bool:
        """Whether time alone makes something happen: an order rests, or one is to follow."""
        rests = any(
            attempt.view.is_live and attempt.view.state is not OrderState.ARMED for attempt in (*self.entries, *self.exits)
        )
        return rests or (self.exit_wanted_at is not None and self.holding().open_quantity > 0)

    def holding(self) -> Holding:
        return Holding(*sums(self.entries), *sums(self.exits))

    def view(self) -> RunView:
        holding = self.holding()
        return RunView(
            self._plan.quantity,
            holding.bought,
            holding.sold,
            entries=tuple(attempt.view for attempt in self.entries),
            exits=tuple(attempt.view for attempt in self.exits),
            exit_wanted_at=self.exit_wanted_at,
            hand_over_at=self._window.hand_over_at,
            is_handed_over=self.is_handed_over,
        )

    def is_pointless_at(self, price: Decimal) -> bool:
        return price <= self.stop or self.is_target(price)

    def is_target(self, price: Decimal) -> bool:
        return self._plan.target_price is not None and price >= self._plan.target_price

    # --- carrying out -----------------------------------------------------------------------------------------------------------

    def _carry_out(self, step: Step, now: datetime) -> None:
        if isinstance(step, Fire):
            self._fire(self._find(step.order_id), now)
        elif isinstance(step, ArmExit):
            self._arm_exit(step, now)
        elif isinstance(step, RetryEntry):
            self._arm_entry(step.attempt, step.quantity, now, step.deadline_at)
            self._tell(now, "entry_retried", f"trying to buy again, attempt {step.attempt}", quantity=step.quantity)
        elif isinstance(step, ResizeArmed):
            attempt = self._find(step.order_id)
            attempt.view = replace(attempt.view, quantity=step.quantity)
        elif isinstance(step, Modify):
            self._modify(self._find(step.order_id), step, now)
        elif isinstance(step, Cancel):
            self._cancel(self._find(step.order_id), now)
        elif isinstance(step, Supersede):
            self._supersede(self._find(step.order_id), step.why, now)
        elif isinstance(step, HandOver):
            self.is_handed_over = True
            self._tell(now, "handed_over", "the last moment has come with shares unsold: from now on a person looks after them")
        else:
            raise CannotBe(f"a rehearsal never comes to {type(step).__name__}")

    def _arm_entry(self, attempt: int, quantity: int, now: datetime, deadline_at: datetime | None) -> None:
        view = self._armed(Leg.ENTRY, attempt, quantity)
        view = replace(view, wanted_at=now, fire_at=self._window.buy_at, deadline_at=deadline_at)
        self.entries.append(Attempt(Leg.ENTRY, view))

    def _arm_exit(self, step: ArmExit, now: datetime) -> None:
        view = self._armed(Leg.EXIT, step.attempt, step.quantity)
        wanted_at = now if step.wanted else None
        view = replace(view, band_step=step.band_step, wanted_at=wanted_at, fire_at=self._window.sell_at)
        self.exits.append(Attempt(Leg.EXIT, view))
        self._tell(now, "exit_armed", f"{step.quantity} are covered by a stop at {self.stop}")

    def _supersede(self, attempt: Attempt, why: SupersededFor, now: datetime) -> None:
        attempt.become(OrderState.SUPERSEDED, now)
        attempt.superseded_for = why

    def _fire(self, attempt: Attempt, now: datetime) -> None:
        price = self._market.last_price
        if attempt.leg is Leg.ENTRY and self.is_pointless_at(price):
            at_stop = price <= self.stop
            self._supersede(attempt, SupersededFor.PRICE_AT_STOP if at_stop else SupersededFor.PRICE_AT_TARGET, now)
            level = "below the stop-loss" if at_stop else "above the target"
            self._tell(now, "entry_skipped", f"the price is at or {level}: nothing is bought", price=price)
        elif self._claim(attempt, now):
            self._send(attempt, now, price)

    def _claim(self, attempt: Attempt, now: datetime) -> bool:
        """The conditions under which an order may leave."""
        view = attempt.view
        if view.state is not OrderState.ARMED or now >= self._window.hand_over_at:
            return False
        is_due = view.wanted_at is not None or (view.fire_at is not None and view.fire_at <= now)
        if attempt.leg is Leg.ENTRY:
            may = is_due and self.exit_wanted_at is None and view.deadline_at is not None and now < view.deadline_at
        else:
            may = (is_due or self.exit_wanted_at is not None) and 1 <= view.quantity <= self.holding().open_quantity
        if may:
            attempt.become(OrderState.SENDING, now)
        return may

    def _send(self, attempt: Attempt, now: datetime, price: Decimal) -> None:
        view = attempt.view
        side = attempt.leg.side
        attempt.limit = protected_limit(side, last_price=price, instrument=self._instrument, step=view.band_step)
        edge = "at most" if attempt.leg is Leg.ENTRY else "at least"
        words = f"{side.value} {view.quantity} {edge} at {attempt.limit}"
        self._tell(now, "order_sent", words, price=attempt.limit, quantity=view.quantity)
        request = OrderRequest(attempt.tag, self._instrument.id, self._plan.product, side, view.quantity, attempt.limit)
        outcome = self._market.place(request)
        if isinstance(outcome, Placed):
            attempt.broker_order_id = outcome.broker_order_id
            attempt.become(OrderState.OPEN, now)
            attempt.view = replace(attempt.view, touched_at=now)
        elif isinstance(outcome, Refused):
            attempt.message = outcome.message
            attempt.become(OrderState.REJECTED, now)
            attempt.view = replace(attempt.view, refusal=outcome.kind)
            self._tell(now, "rejected", f"the exchange refused the {attempt.leg.value}: {outcome.message}")
        else:
            raise CannotBe("an outcome is never unknown where there is no wire")

    def _modify(self, attempt: Attempt, step: Modify, now: datetime) -> None:
        price = self._market.last_price
        limit = protected_limit(attempt.leg.side, last_price=price, instrument=self._instrument, step=step.band_step)
        if limit == attempt.limit and step.quantity == attempt.view.quantity:
            # Already at the best limit there is, such as the circuit price: one order rests there.
            return
        outcome = self._market.modify(ModifyRequest(attempt.broker_order_id, step.quantity, limit))
        attempt.view = replace(attempt.view, modifications=attempt.view.modifications + 1, touched_at=now, changed_at=now)
        if isinstance(outcome, Accepted):
            attempt.limit = limit
            attempt.view = replace(attempt.view, quantity=step.quantity, band_step=step.band_step)
            self._tell(now, "order_repriced", f"not filled: the limit is now {limit}", price=limit, quantity=step.quantity)

    def _cancel(self, attempt: Attempt, now: datetime) -> None:
        attempt.view = replace(attempt.view, cancel_wanted_at=now)
        if isinstance(self._market.cancel(attempt.broker_order_id), Accepted):
            self._tell(now, "cancelled", f"the rest of the {attempt.leg.value} was cancelled")

    # --- following --------------------------------------------------------------------------------------------------------------

    def _look(self, now: datetime) -> None:
        """One look at the book and the new trades, at everything of ours that is alive there."""
        if not self._market.has_news():
            return
        trades = self._market.trades(since=self._trades_seen)
        self._trades_seen += len(trades)
        alive = {attempt.tag: attempt for attempt in (*self.entries, *self.exits) if attempt.view.state is OrderState.OPEN}
        for seen in self._market.orders():
            if seen.tag in alive:
                new = sum_trades(trades_of(seen.broker_order_id, trades).values())
                self._follow(alive[seen.tag], seen, new, now)

    def _follow(self, attempt: Attempt, seen: BrokerOrder, new: TradeSum, now: datetime) -> None:
        before = Progress(attempt.view.state, attempt.view.filled_quantity, attempt.average)
        attempt.traded = TradeSum(attempt.traded.quantity + new.quantity, attempt.traded.value + new.value)
        after = follow(before, seen, attempt.traded)
        attempt.average, attempt.message = after.average_price, seen.message or attempt.message
        attempt.view = replace(attempt.view, filled_quantity=after.filled_quantity)
        attempt.become(after.state, now)
        if new.quantity:
            self._tell_filled(attempt, now, new.quantity, round(new.value / new.quantity, PRICE_DECIMALS))

    def _tell_filled(self, attempt: Attempt, now: datetime, quantity: int, price: Decimal) -> None:
        kind = "bought" if attempt.leg is Leg.ENTRY else "sold"
        filled, wanted = attempt.view.filled_quantity, attempt.view.quantity
        part = "" if filled == wanted else f" ({filled} of {wanted} so far)"
        self._tell(now, kind, f"{kind} {quantity} at {price:f}{part}", price=price, quantity=quantity)

    # --- rows -------------------------------------------------------------------------------------------------------------------

    def _armed(self, leg: Leg, attempt: int, quantity: int) -> AttemptView:
        """Known by its tag, as at a broker."""
        tag = make_tag(RUN, leg=leg, attempt=attempt, trading_day=self._window.trading_day)
        return AttemptView(tag, attempt, OrderState.ARMED, quantity, 0)

    def _find(self, order_id: str) -> Attempt:
        return next(attempt for attempt in (*self.entries, *self.exits) if attempt.view.order_id == order_id)
