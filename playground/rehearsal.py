"""One plan over one day of prices, order by order: the platform's decisions at the simulator's exchange, in the day's own time.

What decides is what decides live: `next_steps` says what each order row needs next, `protected_limit` prices it, `follow` judges
what the book says, `how_it_ended` names the end. What matches is what the platform is tested against: the simulator's engine.
What is not here is everything between the two: no database, no network, no broker, no listener, no faults. Nothing in this
package can reach an account.
"""

from datetime import datetime, timedelta
from decimal import Decimal

from playground.bars import Bars
from playground.desk import RehearsalDesk
from playground.market import RehearsalMarket, Terms
from playground.prices import prices_of
from playground.setup import Rules
from playground.timeline import Outcome, Timeline
from trading.endings import EntryFacts, RunFacts, how_it_ended
from trading.instruments import Instrument
from trading.next_step import is_settled
from trading.plan import Plan
from trading.runs import ExitReason
from trading.schedule import RunWindow
from trading.trailing import trailed

ZERO = Decimal(0)
# How long an entry may rest before what is missing is cancelled.
ENTRY_DEADLINE = timedelta(seconds=30)
# While an order works the desk looks at it this often, also when no price comes.
PACE = timedelta(seconds=1)


class Rehearsal:
    """Feed it prices in order of time; it trades the plan by the platform's rules."""

    def __init__(self, plan: Plan, window: RunWindow, *, instrument: Instrument, market: RehearsalMarket, rules: Rules) -> None:
        self._plan = plan
        self._window = window
        self._tick_size = instrument.tick_size
        self._market = market
        self._rules = rules
        self._timeline = Timeline()
        self._desk = RehearsalDesk(plan, window, instrument=instrument, market=market, timeline=self._timeline)
        self._highest = ZERO
        self._now: datetime | None = None
        self._ended = False

    def price(self, at: datetime, price: Decimal) -> bool:
        """One price of the market; False once the run has ended."""
        self._pass_time_until(at)
        if self._ended:
            return False
        self._market.move(at, price)
        self._now = at
        if at < self._window.buy_at:
            return True
        if not self._desk.entries:
            self._begin(at)
        self._desk.work(at)
        self._watch(at, price)
        self._work(at)
        self._raise_stop(price)
        return not self._ended

    def outcome(self) -> Outcome:
        holding = self._desk.holding()
        if not self._ended:
            return Outcome(self._timeline.events(), holding, None, "the prices end before the run does")
        facts = [EntryFacts(attempt.view.state, attempt.superseded_for, attempt.message) for attempt in self._desk.entries]
        reason, detail = how_it_ended(
            RunFacts(
                holding,
                facts,
                exit_reason=self._desk.exit_reason,
                leave_open=False,
                stop_requested=False,
                handed_over=self._desk.is_handed_over,
            )
        )
        return Outcome(self._timeline.events(), holding, reason, detail)

    def _pass_time_until(self, at: datetime) -> None:
        """An order that works is looked at between two prices too: it is re-priced, taken back or handed over at its own time."""
        while self._now is not None and not self._ended and self._desk.is_under_way and self._now + PACE < at:
            self._now += PACE
            self._market.wait(self._now)
            self._work(self._now)

    def _work(self, now: datetime) -> None:
        self._desk.work(now)
        self._ended = bool(self._desk.entries) and is_settled(self._desk.view(), now)

    # --- what the workflow and the listener do ---------------------------------------------------------------------------

    def _begin(self, at: datetime) -> None:
        """The first price since the buy time is the price of that moment, unless it is too old for that."""
        stale_at = self._window.buy_at + timedelta(seconds=self._rules.stale_after_seconds)
        self._timeline.tell(at, "entry_due", "the buy time has come")
        self._desk.arm_entry(at, deadline_at=at + ENTRY_DEADLINE if at <= stale_at else stale_at)

    @property
    def _is_watched(self) -> bool:
        return self._desk.exit_reason is None and self._desk.holding().bought > 0

    def _watch(self, at: datetime, price: Decimal) -> None:
        reason = self._reason_to_leave(at, price) if self._is_watched else None
        if reason is None:
            return
        stop, target = self._desk.stop, self._plan.target_price
        if reason is ExitReason.STOP_LOSS:
            risen = "" if stop == self._plan.stop_loss else f", which has followed the price to {stop}"
            self._timeline.tell(at, "stop_loss", f"the price is at or below the stop-loss{risen}: sell at once", price=price)
        elif reason is ExitReason.TARGET:
            self._timeline.tell(at, "target_hit", f"the price is at or above the target {target}: sell at once", price=price)
        else:
            self._timeline.tell(at, "sell_time", "the sell time has come", price=price)
        self._desk.want_out(at, reason)

    def _reason_to_leave(self, at: datetime, price: Decimal) -> ExitReason | None:
        """In the same instant stop and target beat the sell time; a moment later the sale has begun."""
        if at <= self._window.sell_at:
            if price <= self._desk.stop:
                return ExitReason.STOP_LOSS
            if self._desk.is_target(price):
                return ExitReason.TARGET
        return ExitReason.SELL_TIME if at >= self._window.sell_at else None

    def _raise_stop(self, price: Decimal) -> None:
        """A stop that trails rises with the price, from the purchase on and until the sale begins."""
        if self._plan.trail is not None and self._is_watched:
            self._highest = max(self._highest, price)
            self._desk.stop = trailed(self._desk.stop, trail=self._plan.trail, highest=self._highest, tick_size=self._tick_size)


def rehearse(
    plan: Plan, window: RunWindow, bars: Bars, *, instrument: Instrument, rules: Rules, depth: int | None = None
) -> Outcome:
    """The whole day at once. `depth`: how many shares the market gives and takes at each price; None: as many as are wanted."""
    market = RehearsalMarket(instrument, bars, terms=Terms(rules.slippage_millionths, depth))
    rehearsal = Rehearsal(plan, window, instrument=instrument, market=market, rules=rules)
    for at, price in prices_of(bars, target=plan.target_price):
        if not rehearsal.price(at, price):
            break
    return rehearsal.outcome()
