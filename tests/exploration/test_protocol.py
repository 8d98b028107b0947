"""Two workers, a broker that lies, a user who interferes: whatever the order of events, the invariants hold.

Hypothesis draws what happens; the workers are the real ones (their floors with all loops) over a real database, in virtual time.
After each step the exchange's log is judged, and at the end one worker works in peace until everything is quiet.

`EXPLORE=500 python -m pytest tests/exploration/test_protocol.py` tries that many examples.
"""

import asyncio
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
from tests.exploration.exchange import ALL, OPEN
from tests.exploration.judge import Judge
from tests.exploration.processes import Life
from trading.orders import Side
from trading.runs import ExitReason

T = TypeVar("T")

# Without EXPLORE the examples are the same ones every time: a surprise belongs to whoever goes looking for it.
EXAMPLES = int(os.environ.get("EXPLORE", "0"))
USUAL_EXAMPLES = 30
RUNS = 2
STEPS = 15
# Making a failure small takes long: `SHRINK=1` asks for it.
PHASES = [Phase.explicit, Phase.generate, *([Phase.shrink] if os.environ.get("SHRINK") else [])]
# Below the trigger of an exit that rests at the broker.
FAR_BELOW_STOP = Decimal(3460)
PRICES = [Decimal(3600), Decimal(3560), Decimal(3510), Decimal(3700)]
BELOW_STOP = [Decimal(3490), Decimal(3400)]


QUANTITY = st.sampled_from([1, 10])
WHICH = st.integers(0, RUNS - 1)
# Seconds until the next step: long enough for a part of a write, a write, a look, a lease, a proof of absence.
PAUSES = st.sampled_from([0.002, 0.012, 0.05, 0.2, 0.2, 0.7, 2.0, 5.0])
FATES = st.sampled_from(Fate)
BOOKS = st.sampled_from([BookFate.FRESH, BookFate.LAGS, BookFate.LAGS, BookFate.FAILS, BookFate.EMPTY])


class Trading(RuleBasedStateMachine):
    """One account. Steps take no time of their own, except those that wait."""

    bench: Bench
    backup_stop = False

    def __init__(self) -> None:
        super().__init__()
        self._is_open = False

    def _do(self, work: Coroutine[Any, Any, T], then: float = 0.0) -> T:
        """Steps begin and end between transactions, so that an example always goes the same way."""

        async def step() -> T:
            done = await work
            await asyncio.sleep(then)
            await self.bench.turns.quiet()
            return done

        return self.bench.loop.run_until_complete(step())

    @initialize(
        seed=st.integers(0, 2**16),
        latency=st.sampled_from([0.005, 0.05, 0.3]),
        repeats=st.booleans(),
        writes=st.lists(FATES, max_size=3),
        depth=st.sampled_from([ALL, ALL, 4]),
        quantity=st.sampled_from([1, 10]),
    )
    def open(self, seed: int, latency: float, repeats: bool, writes: list[Fate], depth: int, quantity: int) -> None:
        self.world = self.bench.world(seed)
        self._is_open = True
        self._do(self.world.open())
        self.judge = Judge(self.world)
        self.world.network.latency = latency
        self.world.network.repeats_updates = repeats
        self.world.network.writes.extend(writes)
        self.world.exchange.fills_at_most = depth
        self._do(self.world.hire())
        self._do(self.world.hire())
        self._do(self.world.start_run(quantity=quantity, deadline_in=6.0, backup_stop=self.backup_stop))

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
    @rule(
        then=PAUSES,
        quantity=st.sampled_from([1, 10]),
        sell_in=st.sampled_from([2.0, 3600.0]),
        deadline=st.sampled_from([1.5, 6.0]),
    )
    def start(self, then: float, quantity: int, sell_in: float, deadline: float) -> None:
        plan = self.world.start_run(quantity=quantity, sell_in=sell_in, deadline_in=deadline, backup_stop=self.backup_stop)
        self._do(plan, then)

    @rule(then=PAUSES, which=WHICH, square_off=st.booleans())
    def user_stops(self, then: float, which: int, square_off: bool) -> None:
        self._do(self.world.stop_by_user(self._run(which), square_off=square_off), then)

    @rule(then=PAUSES, which=WHICH, sell_in=st.sampled_from([None, 0.3, 5.0]), stop=st.sampled_from([None, *PRICES]))
    def user_changes_the_plan(self, then: float, which: int, sell_in: float | None, stop: Decimal | None) -> None:
        self._do(self.world.change_plan(self._run(which), sell_in=sell_in, stop_loss=stop), then)

    @precondition(lambda self: self.world.able())
    @rule(then=PAUSES)
    def workflows_catch_up(self, then: float) -> None:
        self._do(self.world.catch_up(), then)

    @precondition(lambda self: self.world.able())
    @rule(then=PAUSES, which=WHICH)
    def the_workflow_leaves(self, then: float, which: int) -> None:
        self._do(self.world.leave(self._run(which), ExitReason.USER_STOP), then)

    # --- the market ---------------------------------------------------------------------------------------------------

    @rule(then=PAUSES, which=WHICH, price=st.sampled_from(BELOW_STOP), tell_desks=st.sampled_from([True, True, False]))
    def stop_is_hit(self, then: float, which: int, price: Decimal, tell_desks: bool) -> None:
        self._do(self.world.cross_stop(self._run(which), price, tell_desks=tell_desks), then)

    @rule(then=PAUSES, price=st.sampled_from(PRICES), depth=st.sampled_from([0, 1, 4, ALL]))
    def market_moves(self, then: float, price: Decimal, depth: int) -> None:
        async def move() -> None:
            self.world.exchange.fills_at_most = depth
            self.world.exchange.move(price)

        self._do(move(), then)

    @precondition(lambda self: self._resting())
    @rule(then=PAUSES, which=st.integers(0, 3), rejected=st.booleans())
    def exchange_throws_an_order_out(self, then: float, which: int, rejected: bool) -> None:
        broker_order_id = self._resting()[which % len(self._resting())]

        async def throw_out() -> None:
            if rejected:
                self.world.exchange.reject(broker_order_id)
            else:
                self.world.exchange.cancel(broker_order_id)

        self._do(throw_out(), then)

    @rule(then=PAUSES, side=st.sampled_from(Side), quantity=st.sampled_from([1, 5]))
    def user_trades_by_hand(self, then: float, side: Side, quantity: int) -> None:
        async def trade() -> None:
            self.world.exchange.trade_by_hand(side, quantity)

        self._do(trade(), then)

    # --- the network --------------------------------------------------------------------------------------------------

    @rule(writes=st.lists(FATES, min_size=1, max_size=3), reads=st.lists(BOOKS, max_size=4))
    def the_network_will_fail(self, writes: list[Fate], reads: list[BookFate]) -> None:
        self.world.network.writes.extend(writes)
        self.world.network.reads.extend(reads)

    @rule(up=st.booleans())
    def stream_is_cut_or_comes_back(self, up: bool) -> None:
        self.world.network.stream_is_up = up

    @rule(then=PAUSES)
    def user_logs_in_again(self, then: float) -> None:
        self._do(self.world.log_in_again(), then)

    # --- the workers --------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.world.able())
    @rule(then=PAUSES, which=WHICH)
    def worker_dies(self, then: float, which: int) -> None:
        able = self.world.able()
        self._do(self.world.kill(able[which % len(able)]), then)

    @precondition(lambda self: len(self.world.able()) < 2)
    @rule(then=PAUSES)
    def worker_starts(self, then: float) -> None:
        self._do(self.world.hire(), then)

    @precondition(lambda self: self.world.able())
    @rule(then=PAUSES, which=WHICH)
    def worker_freezes(self, then: float, which: int) -> None:
        able = self.world.able()
        self._do(self.world.freeze(able[which % len(able)]), then)

    @precondition(lambda self: self._frozen())
    @rule(then=PAUSES)
    def worker_thaws(self, then: float) -> None:
        self.world.thaw(self._frozen()[0])
        self._do(self.world.turns.quiet(), then)

    @precondition(lambda self: self.world.able())
    @rule(then=PAUSES, which=WHICH, seconds=st.sampled_from([-120, -2, 0, 2, 120]))
    def clock_is_set(self, then: float, which: int, seconds: int) -> None:
        able = self.world.able()
        able[which % len(able)].clock.skew = timedelta(seconds=seconds)
        self._do(self.world.turns.quiet(), then)

    # --- time ---------------------------------------------------------------------------------------------------------

    @rule(then=PAUSES)
    def time_passes(self, then: float) -> None:
        self._do(self.world.turns.quiet(), then)

    @invariant()
    def holds(self) -> None:
        if self._is_open:
            self._do(self.judge.judge_step())

    # --- small things -------------------------------------------------------------------------------------------------

    def _run(self, which: int) -> str:
        return self.world.run_ids[which % len(self.world.run_ids)]

    def _resting(self) -> list[str]:
        return [key for key, order in self.world.exchange.orders.items() if order.status in OPEN]

    def _frozen(self) -> list[Any]:
        return [worker for worker in self.world.workers if worker.process.life is Life.FROZEN]


class TradingWithBackups(Trading):
    """The same, with exits that rest at the broker."""

    backup_stop = True

    @rule(then=PAUSES)
    def the_broker_sells_by_itself(self, then: float) -> None:
        async def move() -> None:
            self.world.exchange.move(FAR_BELOW_STOP)

        self._do(move(), then)


def test_invariants_hold_whatever_happens(bench: Bench) -> None:
    explore(Trading, bench, USUAL_EXAMPLES)


def test_invariants_hold_whatever_happens_to_exits_that_rest_at_the_broker(bench: Bench) -> None:
    explore(TradingWithBackups, bench, USUAL_EXAMPLES // 2)


def explore(machine: type[Trading], bench: Bench, usual_examples: int) -> None:
    machine.bench = bench
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES or usual_examples,
            derandomize=not EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            report_multiple_bugs=False,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
