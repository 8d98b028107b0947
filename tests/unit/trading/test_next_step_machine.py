"""The planner against everything a broker, a user and the clock can do, in any order, as a Hypothesis state machine.

After each happening the planner's steps are carried out until it wants nothing more; then the invariants must hold. At the end
of each story the broker becomes honest: from any state the run must then come to its end by itself.
"""

from datetime import timedelta
from enum import Enum

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.trading.toy_market import QUANTITY, RESOLVED_AFTER, Row, ToyMarket
from trading.next_step import LONGEST_PAUSE, MAX_ENTRY_ATTEMPTS, MAX_MODIFICATIONS, ArmExit, Modify, next_steps
from trading.orders import BrokerOrderStatus, Leg, OrderState, RefusalKind

SPANS = st.sampled_from([0.1, 0.6, 1.1, 2.1, 5, 11, 31, 240]).map(lambda seconds: timedelta(seconds=seconds))
WHICH = st.integers(0, 9)
# An honest broker needs at most this long to bring any run to its end: a full sell time, its pauses, and some looks.
PATIENCE = timedelta(minutes=20)


class Stage(Enum):
    """Where a story begins: most of what can go wrong lies far from the beginning."""

    ARMED = 0
    HOLDING = 1
    LEAVING = 2


class Trading(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.market = ToyMarket()
        self.happenings = 0
        self.calm_for = 0

    @initialize(
        stage=st.sampled_from(Stage), filled=st.integers(1, QUANTITY), calm_for=st.integers(0, 25), head_start=st.booleans()
    )
    def story_begins(self, stage: Stage, filled: int, calm_for: int, head_start: bool) -> None:
        """`calm_for`: so many happenings of the broker and the clock come before people meddle."""
        self.calm_for, self.market.head_start = calm_for, head_start
        if stage is Stage.ARMED:
            return
        self._follow_to_fills(self.market.rows[0], filled)
        if stage is Stage.LEAVING:
            self._follow_to_fills(self.market.of(Leg.EXIT)[0], filled=0)

    def _follow_to_fills(self, row: Row, filled: int) -> None:
        self.market.claim(row, by_condition=True)
        self.market.placed(row)
        assert row.order is not None
        row.order.fill(filled)
        self.market.look(row, trades=filled)
        self.market.settle()

    def desk_acts(self) -> None:
        self.market.settle()
        self.happenings += 1

    def may_meddle(self) -> bool:
        return self.happenings > self.calm_for

    # --- what orders there are to happen to ---------------------------------------------------------------------------

    def unanswered(self) -> list[Row]:
        return [row for row in self.market.rows if row.state is OrderState.SENDING and not row.answered]

    def missing(self) -> list[Row]:
        old = self.market.now - RESOLVED_AFTER
        return [
            row
            for row in self.market.rows
            if row.in_doubt and row.answered and row.order is None and row.claimed_at and row.claimed_at <= old
        ]

    def may_land(self) -> list[Row]:
        return [row for row in self.market.rows if row.may_land]

    def at_exchange(self) -> list[Row]:
        return [row for row in self.market.rows if row.order is not None]

    def working(self) -> list[Row]:
        return [row for row in self.market.rows if row.order is not None and row.order.is_open]

    def changing(self) -> list[Row]:
        return [row for row in self.market.rows if row.change is not None and row.is_live]

    def armed(self, leg: Leg) -> list[Row]:
        return [row for row in self.market.of(leg) if row.state is OrderState.ARMED]

    # --- the clock ----------------------------------------------------------------------------------------------------

    @rule(span=SPANS)
    def time_passes(self, span: timedelta) -> None:
        self.market.now += span
        self.desk_acts()

    @precondition(lambda self: self.armed(Leg.ENTRY))
    @rule()
    def entry_timer_fires(self) -> None:
        self.market.claim(self.armed(Leg.ENTRY)[0])
        self.desk_acts()

    @precondition(lambda self: self.armed(Leg.EXIT))
    @rule()
    def stop_is_hit(self) -> None:
        self.market.claim(self.armed(Leg.EXIT)[0], by_condition=True)
        self.desk_acts()

    @precondition(lambda self: self.may_meddle())
    @rule()
    def workflow_leaves(self) -> None:
        self.market.leave()
        self.desk_acts()

    # --- answers to an order ------------------------------------------------------------------------------------------

    @precondition(lambda self: self.unanswered())
    @rule(which=WHICH)
    def order_is_placed(self, which: int) -> None:
        self.market.placed(pick(self.unanswered(), which))
        self.desk_acts()

    @precondition(lambda self: self.unanswered())
    @rule(which=WHICH, kind=st.sampled_from(RefusalKind))
    def order_is_refused(self, which: int, kind: RefusalKind) -> None:
        self.market.refused(pick(self.unanswered(), which), kind)
        self.desk_acts()

    @precondition(lambda self: self.unanswered())
    @rule(which=WHICH, lands=st.booleans(), late=st.booleans(), process_dies=st.booleans())
    def order_gets_no_clear_answer(self, which: int, lands: bool, late: bool, process_dies: bool) -> None:
        row = pick(self.unanswered(), which)
        self.market.unknown(row, lands=lands, may_land=late and not lands, recorded=not process_dies)
        self.desk_acts()

    @precondition(lambda self: self.missing())
    @rule(which=WHICH)
    def order_is_proven_absent(self, which: int) -> None:
        self.market.prove_absent(pick(self.missing(), which))
        self.desk_acts()

    @precondition(lambda self: self.may_land())
    @rule(which=WHICH)
    def order_appears_late(self, which: int) -> None:
        self.market.land(pick(self.may_land(), which))
        self.desk_acts()

    # --- the exchange -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.working())
    @rule(which=WHICH, quantity=st.integers(1, QUANTITY))
    def some_is_filled(self, which: int, quantity: int) -> None:
        order = pick(self.working(), which).order
        assert order is not None
        order.fill(quantity)

    @precondition(lambda self: self.working())
    @rule(which=WHICH, rejects=st.booleans())
    def broker_ends_an_order_by_itself(self, which: int, rejects: bool) -> None:
        order = pick(self.working(), which).order
        assert order is not None
        order.status = BrokerOrderStatus.REJECTED if rejects else BrokerOrderStatus.CANCELLED

    @precondition(lambda self: self.at_exchange())
    @rule(which=WHICH, lag=st.sampled_from([0, 0, 0, 1, 3, None]))
    def book_is_read(self, which: int, lag: int | None) -> None:
        row = pick(self.at_exchange(), which)
        assert row.order is not None
        self.market.look(row, trades=None if lag is None else max(0, row.order.filled - lag))
        self.desk_acts()

    @precondition(lambda self: self.changing())
    @rule(which=WHICH, taken=st.booleans(), heard=st.booleans(), kind=st.sampled_from(RefusalKind))
    def change_is_answered(self, which: int, taken: bool, heard: bool, kind: RefusalKind) -> None:
        self.market.change_answered(pick(self.changing(), which), taken=taken, heard=heard, refusal=kind)
        self.desk_acts()

    # --- people -------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.may_meddle() and not self.market.wants_out)
    @rule(square_off=st.booleans())
    def user_stops(self, square_off: bool) -> None:
        self.market.stop(square_off=square_off)
        self.desk_acts()

    @precondition(lambda self: self.may_meddle())
    @rule()
    def kill_switch_is_thrown(self) -> None:
        self.market.entries_locked = not self.market.entries_locked
        self.desk_acts()

    @rule()
    def user_logs_in_again(self) -> None:
        self.market.session_since = self.market.now
        self.desk_acts()

    @precondition(lambda self: not self.market.wants_out)
    @rule(span=SPANS)
    def sell_time_is_moved(self, span: timedelta) -> None:
        self.market.sell_at = self.market.now + span
        for row in self.armed(Leg.EXIT):
            row.fire_at = self.market.sell_at
        self.desk_acts()

    @precondition(lambda self: self.may_meddle() and self.market.open_quantity > 0)
    @rule(quantity=st.integers(1, QUANTITY))
    def somebody_else_sells_our_shares(self, quantity: int) -> None:
        self.market.taken_elsewhere += min(quantity, self.market.open_quantity)
        self.desk_acts()

    @precondition(lambda self: self.market.is_settled)
    @rule()
    def run_is_finished(self) -> None:
        self.market.has_ended = True

    # --- what must always hold ----------------------------------------------------------------------------------------

    @invariant()
    def each_leg_has_at_most_one_live_attempt(self) -> None:
        for leg in Leg:
            assert sum(row.is_live for row in self.market.of(leg)) <= 1

    @invariant()
    def never_more_is_sold_than_was_bought(self) -> None:
        """Counting all that rests or may still land; but not an order whose absence two honest-looking books had proved."""
        exits = self.market.of(Leg.EXIT)
        assert sum(at_most(row) for row in exits) <= self.market.bought

    @invariant()
    def never_more_is_bought_than_planned(self) -> None:
        entries = self.market.of(Leg.ENTRY)
        assert sum(at_most(row) for row in entries) <= QUANTITY
        assert len(entries) <= MAX_ENTRY_ATTEMPTS

    @invariant()
    def an_open_position_is_covered_or_will_be_after_a_bounded_pause(self) -> None:
        market = self.market
        if market.open_quantity <= 0 or market.leave_open or any(row.is_live for row in market.of(Leg.EXIT)):
            return
        steps = next_steps(market.view(), market.now + LONGEST_PAUSE)
        assert any(isinstance(step, ArmExit) for step in steps)

    @invariant()
    def an_armed_exit_covers_all_that_is_open(self) -> None:
        for row in self.armed(Leg.EXIT):
            assert row.quantity == self.market.open_quantity

    @invariant()
    def a_settled_run_is_flat_or_left_open_and_nothing_of_it_lives(self) -> None:
        if self.market.is_settled:
            assert not any(row.is_live for row in self.market.rows)
            assert self.market.open_quantity == 0 or self.market.leave_open or self.was_oversold()

    def was_oversold(self) -> bool:
        """As nobody can help: a sale whose absence was proved came true after all, or somebody sold what an exit was selling."""
        came_true = any(row.order and row.order.landed_after_absence for row in self.market.of(Leg.EXIT))
        return self.market.open_quantity < 0 and (came_true or self.market.taken_elsewhere > 0)

    @invariant()
    def an_order_is_modified_at_most_twenty_times(self) -> None:
        assert all(row.order.modifications <= MAX_MODIFICATIONS for row in self.market.rows if row.order)

    # --- and then everything goes well --------------------------------------------------------------------------------

    def teardown(self) -> None:
        market = self.market
        ended_by = market.now + PATIENCE
        for row in market.rows:
            row.may_land = False
        while not market.is_settled and market.now < ended_by:
            self.everything_goes_well()
            market.now += timedelta(seconds=1)
            market.settle()
        if market.open_quantity < 0:
            assert self.was_oversold()
            return
        assert market.is_settled, market
        self.each_leg_has_at_most_one_live_attempt()
        self.never_more_is_sold_than_was_bought()

    def everything_goes_well(self) -> None:
        market = self.market
        if not market.head_start and market.now >= market.sell_at:
            market.leave()
        for row in list(market.rows):
            if row in self.unanswered():
                market.placed(row)
            if row in self.missing():
                market.prove_absent(row)
            if row.change is not None and row.is_live and row.order is not None:
                market.change_answered(row, taken=True)
            if row.order is not None:
                row.order.fill(row.order.may_still_fill)
                market.look(row, trades=row.order.filled)


def pick(rows: list[Row], which: int) -> Row:
    return rows[which % len(rows)]


def at_most(row: Row) -> int:
    """The most this attempt can have bought or sold in the end."""
    if row.order is not None:
        if row.order.landed_after_absence:
            return 0
        growing = row.change.quantity if isinstance(row.change, Modify) and row.order.is_open else 0
        return max(row.order.filled + row.order.may_still_fill, growing)
    return row.quantity if row.in_doubt else 0


TestTrading = Trading.TestCase
TestTrading.settings = settings(max_examples=150, stateful_step_count=40)
