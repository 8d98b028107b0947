"""Several workers share the accounts: one that comes later gets its part, one that leaves is followed at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from temporalio.client import Client

from activities.messages import RunSettled
from runtime.calendar import AlwaysOpen
from runtime.metrics import PrometheusMetrics
from runtime.trading import TradingRoom, open_trading_room
from storage.models import Run
from tests.integration.trading.world import World, trading_world
from tests.waiting import eventually
from trading.runs import EndReason
from workflows import names

ACCOUNTS = 8


@pytest.fixture
async def world(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url, redis_url=redis_url, client=temporal_client, task_queue=task_queue
    ) as made:
        yield made


@asynccontextmanager
async def another_room(world: World) -> AsyncIterator[TradingRoom]:
    """The desks of a second worker process, on the same rows."""
    room = open_trading_room(
        world.settings,
        database=world.database,
        redis=world.redis,
        accounts=world.accounts,
        instruments=world.accounts.instruments,
        calendar=AlwaysOpen(),
        clock=world.clock,
        metrics=PrometheusMetrics(),
    )
    room.start()
    try:
        yield room
    finally:
        await room.close()


async def holding_runs(world: World) -> list[Run]:
    runs = [await world.start_run(await world.add_account(f"user{number}")) for number in range(ACCOUNTS)]
    for run in runs:
        await world.until_holding(run)
    return runs


async def until_desks(first: TradingRoom, second: TradingRoom, *, at_least: int) -> None:
    await eventually(lambda: min(len(first.floor.desks), len(second.floor.desks)) >= at_least, "leases are shared")


async def test_a_worker_that_comes_later_gets_its_share_and_every_stop_still_leaves_once(world: World) -> None:
    runs = await holding_runs(world)
    async with another_room(world) as second:
        await until_desks(world.room, second, at_least=ACCOUNTS // 2 - 1)
        assert not world.room.floor.desks.keys() & second.floor.desks.keys()
        for run in runs:
            await world.cross_stop(run, "3490", signal=False)
        await eventually(
            lambda: not any(world.sim.net_position(f"user{number}", "TCS") for number in range(ACCOUNTS)), "all flat"
        )
        fired_by = {order.owner for run in runs for order in await world.orders(run.id) if order.leg == "exit"}
        assert len(fired_by) == 2
        for number, run in enumerate(runs):
            await world.workflow(run).signal(names.RUN_SETTLED, RunSettled(world.clock.now()))
            assert (await world.result(run)).end_reason is EndReason.STOP_LOSS
            assert world.sides(f"user{number}") == ["BUY", "SELL"]


async def test_a_worker_that_leaves_gives_its_accounts_to_the_other_at_once(world: World) -> None:
    runs = await holding_runs(world)
    async with another_room(world) as second:
        await until_desks(world.room, second, at_least=ACCOUNTS // 2 - 1)
    await eventually(lambda: len(world.room.floor.desks) == ACCOUNTS, "the other has them all")
    for run in runs:
        await world.cross_stop(run, "3490")
        assert (await world.result(run)).end_reason is EndReason.STOP_LOSS
