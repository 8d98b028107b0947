"""Whom a crossing is told, in what order. The clock stands still, so nothing here leaves because time has passed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from redis.asyncio import Redis
from temporalio.client import Client

from cache.channels import listen_stops
from cache.connection import connect
from listener.complaints import Complaints
from listener.crossings import REPEAT_SECONDS, Crossings, Outlets
from listener.leadership import Leadership, Standing
from listener.signals import Signals
from listener.triggers import Crossing, WatchedStop
from runtime.metrics import PrometheusMetrics
from storage.database import Database
from tests.listener.fakes import START, FakeTemporal, HeldClock
from tests.waiting import eventually
from trading.instruments import InstrumentId
from trading.lead import HERD


def _crossing_of(run_id: str) -> Crossing:
    stop = WatchedStop(run_id, "brk_1", InstrumentId("NSE", "TCS"), Decimal(3500), 1, START)
    return Crossing(stop, Decimal("3499.95"), START)


CROSSING = _crossing_of("run_1")


class Bench:
    def __init__(self, redis: Redis, database: Database) -> None:
        self.clock, self.temporal, metrics = HeldClock(), FakeTemporal(), PrometheusMetrics()
        complaints = Complaints(self.clock)
        self.leadership = Leadership(database, complaints)
        self.leadership.standing = Standing.ACTIVE
        client = cast(Client, self.temporal)
        self.signals = Signals(client, clock=self.clock, metrics=metrics, complaints=complaints)
        outlets = Outlets(redis, self.signals, self.leadership)
        self.crossings = Crossings(outlets, clock=self.clock, metrics=metrics, complaints=complaints)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Bench"]:
        tasks = [asyncio.create_task(self.crossings.run()), asyncio.create_task(self.signals.run())]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def cross(self) -> None:
        self.crossings.add([CROSSING])

    def tell_workflow(self) -> None:
        self.signals.know_workflow("run_1", "workflow_1")


@pytest.fixture
def bench_of(database: Database) -> Callable[[Redis], Bench]:
    return lambda redis: Bench(redis, database)


async def test_a_heard_message_gives_the_desks_their_head_start(redis: Redis, bench_of: Callable[[Redis], Bench]) -> None:
    async with listen_stops(redis) as heard, bench_of(redis).running() as bench:
        bench.cross()
        (stop,) = await anext(heard)
        assert (stop.run_id, stop.trigger_id, stop.price) == ("run_1", "run_1:1", Decimal("3499.95"))
        bench.tell_workflow()
        bench.cross()
        await anext(heard)
        assert bench.temporal.attempts == 0
        assert bench.signals.waiting == 1


async def test_when_no_desk_listens_the_signal_leaves_at_once(redis: Redis, bench_of: Callable[[Redis], Bench]) -> None:
    async with bench_of(redis).running() as bench:
        bench.cross()
        await eventually(lambda: bench.signals.waiting, "the signal is known")
        bench.tell_workflow()
        await eventually(lambda: bench.temporal.signals, "the signal")


async def test_when_redis_is_gone_the_signal_leaves_at_once(tmp_path: Path, bench_of: Callable[[Redis], Bench]) -> None:
    async with connect(f"unix://{tmp_path / 'nobody.sock'}") as absent, bench_of(absent).running() as bench:
        bench.cross()
        await eventually(lambda: bench.signals.waiting, "the signal is known")
        bench.tell_workflow()
        await eventually(lambda: bench.temporal.signals, "the signal")


async def test_an_unanswered_crossing_is_told_again_but_not_at_once(redis: Redis, bench_of: Callable[[Redis], Bench]) -> None:
    other = _crossing_of("run_2")
    async with listen_stops(redis) as heard, bench_of(redis).running() as bench:
        bench.cross()
        await anext(heard)
        bench.crossings.repeat([CROSSING])
        bench.crossings.add([other])
        assert [stop.run_id for stop in await anext(heard)] == ["run_2"]
        bench.clock.advance(REPEAT_SECONDS)
        bench.crossings.repeat([CROSSING])
        assert [stop.trigger_id for stop in await anext(heard)] == ["run_1:1"]


async def test_after_a_herd_what_can_wait_lets_the_desks_go_first(redis: Redis, bench_of: Callable[[Redis], Bench]) -> None:
    async with listen_stops(redis) as heard, bench_of(redis).running() as bench:
        bench.cross()
        await anext(heard)
        alone = asyncio.create_task(bench.crossings.let_desks_go_first())
        await _a_few_turns()
        assert alone.done(), "one stop holds nothing up"

        bench.crossings.add([_crossing_of(f"run_{number}") for number in range(HERD)])
        await anext(heard)
        waiting = asyncio.create_task(bench.crossings.let_desks_go_first())
        await _a_few_turns()
        assert not waiting.done()
        await waiting


async def _a_few_turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_nothing_is_told_while_the_lock_is_in_doubt_and_nothing_is_lost(
    redis: Redis, bench_of: Callable[[Redis], Bench]
) -> None:
    async with listen_stops(redis) as heard, bench_of(redis).running() as bench:
        bench.leadership.standing = Standing.UNSURE
        bench.cross()
        await _a_few_turns()
        assert bench.signals.waiting == 0
        bench.leadership.standing = Standing.ACTIVE
        assert [stop.run_id for stop in await anext(heard)] == ["run_1"]
