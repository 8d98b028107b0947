"""A wall clock that is set while trades run: nothing is forgotten and nothing leaves twice."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from temporalio.client import Client

from runtime.clock import SystemClock
from tests.integration.trading.world import World, trading_world
from trading.runs import EndReason


class SetClock(SystemClock):
    """A wall clock somebody sets."""

    set_by = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.set_by


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def world(
    clock: SetClock, database_url: str, redis_url: str, temporal_client: Client, task_queue: str
) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url, redis_url=redis_url, client=temporal_client, task_queue=task_queue, clock=clock
    ) as made:
        yield made


async def test_a_clock_set_forward_over_the_sell_time_sells_at_once_and_once(world: World, clock: SetClock) -> None:
    run = await world.start_run(await world.add_account(), sell_in=1800)
    await world.until_holding(run)
    clock.set_by = timedelta(hours=1)
    await world.until(run.id, lambda row, _: row.sold == 10, "sold")
    assert world.sides() == ["BUY", "SELL"]


async def test_a_clock_set_back_holds_no_stop_up(world: World, clock: SetClock) -> None:
    run = await world.start_run(await world.add_account())
    await world.until_holding(run)
    clock.set_by = timedelta(minutes=-10)
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS
    assert world.sides() == ["BUY", "SELL"]
