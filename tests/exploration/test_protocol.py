"""Two workers, a broker that lies, a user who interferes: whatever the order of events, the invariants hold.

Hypothesis draws what happens; the workers are the real ones (their floors with all loops) over a real database, in virtual time.
After each step the exchange's log is judged, and at the end one worker works in peace until everything is quiet.

`EXPLORE=500 python -m pytest tests/exploration/test_protocol.py` tries that many examples.
"""

import os
from collections.abc import Coroutine
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from tests.exploration.broker import BookFate, Fate
from tests.exploration.conftest import Bench
from tests.exploration.exchange import ALL
from tests.exploration.judge import Judge
from tests.exploration.processes import Life
from trading.orders import Side
from trading.runs import ExitReason

T = TypeVar("T")

EXAMPLES = int(os.environ.get("EXPLORE", "25"))
RUNS = 2
# Making a failure small takes long: `SHRINK=1` asks for it.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if os.environ.get("SHRINK") else [])]
PRICES = [Decimal(3600), Decimal(3560), Decimal(3510), Decimal(3700)]
BELOW_STOP = [Decimal(3490), Decimal(3400)]


class Trading(RuleBasedStateMachine):
    """One account. Steps take no time of their own, except those that wait."""

    bench: Bench

    def __init__(self) -> None:
        super().__init__()
        self._is_open = False

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Steps begin and end between transactions, so that an example always goes the same way."""

        async def step() -> T:
            done = await work
            await self.bench.turns.quiet()
            return done

        return self.bench.loop.run_until_complete(step())

    @initialize(seed=st.integers(0, 2**16), latency=st.sampled_from([0.005, 0.05, 0.3]), repeats=st.booleans())
    def open(self, seed: int, latency: float, repeats: bool) -> None:
        self.world = self.bench.world(seed)
        self._is_open = True
        self._do(self.world.open())
        self.judge = Judge(self.world)
        self.world.network.latency = latency
        self.world.network.repeats_updates = repeats
        self._do(self.world.hire())
        self._do(self.world.hire())
        self.foreign = 0

    def teardown(self) -> None:
        if not self._is_open:
            return
        try:
            self._do(self._end_in_peace())
        finally:
            self._do(self.world.close())

    async def _end_in_peace(self) -> None:
        frozen = [worker for worker in self.world.workers if worker.process.life is Life.FROZEN]
        for worker in frozen:
            self.world.thaw(worker)
        for worker in self.world.able()[1:]:
            await self.world.kill(worker)
        if not self.world.able():
            await self.world.hire()
        await self.world.work_in_peace()
        await self.judge.judge_end()

    # --- the plan -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.world.run_ids) < RUNS and self.world.able())
    @rule(quantity=st.sampled_from([1, 10]), sell_in=st.sampled_from([2.0, 3600.0]), deadline_in=st.sampled_from([1.5, 6.0]))
    def start(self, quantity: int, sell_in: float, deadline_in: float) -> None:
        self._do(self.world.start_run(quantity=quantity, sell_in=sell_in, deadline_in=deadline_in))

    @precondition(lambda self: self.world.run_ids)
    @rule(which=st.integers(0, RUNS - 1), square_off=st.booleans())
    def user_stops(self, which: int, square_off: bool) -> None:
        self._do(self.world.stop_by_user(self._run(which), square_off=square_off))

    @precondition(lambda self: self.world.run_ids)
    @rule(which=st.integers(0, RUNS - 1), sell_in=st.sampled_from([None, 0.3, 5.0]), stop=st.sampled_from([None, *PRICES]))
    def user_changes_the_plan(self, which: int, sell_in: float | None, stop: Decimal | None) -> None:
        self._do(self.world.change_plan(self._run(which), sell_in=sell_in, stop_loss=stop))

    @precondition(lambda self: self.world.able())
    @rule()
    def workflows_catch_up(self) -> None:
        self._do(self.world.catch_up())

    @precondition(lambda self: self.world.run_ids and self.world.able())
    @rule(which=st.integers(0, RUNS - 1))
    def the_workflow_leaves(self, which: int) -> None:
        self._do(self.world.leave(self._run(which), ExitReason.SELL_TIME))

    # --- the market ---------------------------------------------------------------------------------------------------

    @rule(price=st.sampled_from(PRICES))
    def price_moves(self, price: Decimal) -> None:
        self.world.exchange.move(price)

    @precondition(lambda self: self.world.run_ids)
    @rule(which=st.integers(0, RUNS - 1), price=st.sampled_from(BELOW_STOP), tell_desks=st.booleans())
    def stop_is_hit(self, which: int, price: Decimal, tell_desks: bool) -> None:
        self._do(self.world.cross_stop(self._run(which), price, tell_desks=tell_desks))

    @rule(shares=st.sampled_from([0, 1, 4, ALL]))
    def depth_changes(self, shares: int) -> None:
        self.world.exchange.fills_at_most = shares

    @rule()
    def market_trades_on(self) -> None:
        self.world.exchange.trade_on()

    @precondition(lambda self: self.world.exchange.orders)
    @rule(which=st.integers(0, 20), rejected=st.booleans())
    def exchange_throws_an_order_out(self, which: int, rejected: bool) -> None:
        broker_order_id = sorted(self.world.exchange.orders)[which % len(self.world.exchange.orders)]
        if rejected:
            self.world.exchange.reject(broker_order_id)
        else:
            self.world.exchange.cancel(broker_order_id)

    @rule(side=st.sampled_from(Side), quantity=st.sampled_from([1, 5]))
    def user_trades_by_hand(self, side: Side, quantity: int) -> None:
        self.world.exchange.trade_by_hand(side, quantity)

    # --- the network --------------------------------------------------------------------------------------------------

    @rule(fates=st.lists(st.sampled_from(Fate), min_size=1, max_size=3))
    def writes_will_meet(self, fates: list[Fate]) -> None:
        self.world.network.writes.extend(fates)

    @rule(fates=st.lists(st.sampled_from(BookFate), min_size=1, max_size=4))
    def reads_will_meet(self, fates: list[BookFate]) -> None:
        self.world.network.reads.extend(fates)

    @rule()
    def stream_is_cut_or_comes_back(self) -> None:
        self.world.network.stream_is_up = not self.world.network.stream_is_up

    @rule()
    def user_logs_in_again(self) -> None:
        self._do(self.world.log_in_again())

    # --- the workers --------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.world.able())
    @rule(which=st.integers(0, 5))
    def worker_dies(self, which: int) -> None:
        able = self.world.able()
        self._do(self.world.kill(able[which % len(able)]))

    @precondition(lambda self: len(self.world.able()) < 2)
    @rule()
    def worker_starts(self) -> None:
        self._do(self.world.hire())

    @precondition(lambda self: self.world.able())
    @rule(which=st.integers(0, 5))
    def worker_freezes(self, which: int) -> None:
        able = self.world.able()
        self._do(self.world.freeze(able[which % len(able)]))

    @precondition(lambda self: self._frozen())
    @rule()
    def worker_thaws(self) -> None:
        self.world.thaw(self._frozen()[0])

    @precondition(lambda self: self.world.able())
    @rule(which=st.integers(0, 5), seconds=st.sampled_from([-120, -2, 0, 2, 120]))
    def clock_is_set(self, which: int, seconds: int) -> None:
        able = self.world.able()
        able[which % len(able)].clock.skew = timedelta(seconds=seconds)

    # --- time ---------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.002, 0.012, 0.05, 0.2, 0.7, 2.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self._do(self.world.pass_time(seconds))

    @invariant()
    def holds(self) -> None:
        if self._is_open:
            self._do(self.judge.judge_step())

    # --- small things -------------------------------------------------------------------------------------------------

    def _run(self, which: int) -> str:
        return self.world.run_ids[which % len(self.world.run_ids)]

    def _frozen(self) -> list[Any]:
        return [worker for worker in self.world.workers if worker.process.life is Life.FROZEN]


def test_invariants_hold_whatever_happens(bench: Bench) -> None:
    Trading.bench = bench
    run_state_machine_as_test(
        Trading,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            print_blob=True,
            report_multiple_bugs=False,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
