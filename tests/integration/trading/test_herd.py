"""Many strategies at the same second, one account each: claimed in batches, every one bought once, covered, and sold once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import pytest
from temporalio.client import Client

from cache.channels import StopCrossed, publish_stops
from storage.models import Run
from tests.integration.trading.world import World, trading_world
from tests.waiting import eventually
from trading.runs import EndReason

HERD = 60
BUY_IN = 12.0


@pytest.fixture
async def world(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url,
        redis_url=redis_url,
        client=temporal_client,
        task_queue=task_queue,
        simulator={"rate_limits": "off"},
    ) as made:
        yield made


async def test_a_herd_buys_on_one_second_and_sells_on_one_tick(world: World) -> None:
    names = [f"herd{number}" for number in range(HERD)]
    accounts = [await world.add_account(name) for name in names]
    buy_at = world.clock.now() + timedelta(seconds=BUY_IN)
    runs: list[Run] = []
    for account in accounts:
        left = (buy_at - world.clock.now()).total_seconds()
        runs.append(await world.start_run(account, buy_in=max(left, 0.2)))
    await asyncio.gather(*(world.until_holding(run) for run in runs))
    # The listener hears of a stop after the desk has taken note of it; here nobody listens, so nobody may be sooner.
    await eventually(lambda: all(world.floor.armed.exit_of(run.id) for run in runs), "every desk knows its exit")
    await world.price("TCS", "3490")
    now = world.clock.now()
    await publish_stops(
        world.redis,
        [StopCrossed(run.id, run.account_id, run.stop_version, Decimal(3490), now, f"{run.id}:1") for run in runs],
    )
    guarding = asyncio.create_task(world.guard().run())
    results = await asyncio.gather(*(world.result(run) for run in runs))
    guarding.cancel()
    assert Counter(result.end_reason for result in results) == {EndReason.STOP_LOSS: HERD}
    for name in names:
        assert world.sides(name) == ["BUY", "SELL"], name
        assert world.sim.net_position(name, "TCS") == 0
    early = [
        row
        for run, name in zip(runs, names, strict=True)
        for row in world.requests("place", name)[:1]
        if row["arrived_ns"] < run.buy_at.timestamp() * 1e9
    ]
    assert early == [], "an entry left before its instant"
