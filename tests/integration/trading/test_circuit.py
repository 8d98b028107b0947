"""At the day's circuit limits: an order beyond one is refused, so none may be priced there."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.client import Client

from storage.models import Order, Run
from tests.integration.trading.world import World, trading_world
from trading.accounts import Environment
from trading.instruments import InstrumentId
from trading.lead import Lead
from trading.next_step import REPRICE_AFTER
from trading.runs import EndReason


@pytest.fixture
async def world(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url, redis_url=redis_url, client=temporal_client, task_queue=task_queue
    ) as made:
        yield made


def limits_sent(world: World, side: str) -> list[str]:
    rows = [row["parameters"] for row in world.requests("place")]
    return [row["price"] for row in rows if row["transaction_type"] == side]


async def until_limits_are_read(world: World) -> None:
    """They are good for a minute from then on."""

    def known() -> bool:
        found = world.room.tools.limits.find(InstrumentId("NSE", "TCS"), Environment.SIMULATED)
        return found is not None and found.lower_circuit is not None

    await world.sim.wait_for(known)


async def test_a_stop_near_the_lower_circuit_is_sold_at_the_circuit_price_and_not_refused(world: World) -> None:
    world.sim.set_circuit("TCS", lower="3480", upper="3960")
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    await until_limits_are_read(world)
    await world.price("TCS", "3481")
    await world.cross_stop(run, "3481")
    result = await world.result(run)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10)
    assert [float(price) for price in limits_sent(world, "SELL")] == [3480.0]


async def test_an_entry_near_the_upper_circuit_is_bought_at_the_circuit_price(world: World) -> None:
    world.sim.set_circuit("TCS", lower="3240", upper="3605")
    account = await world.add_account()
    world.lead = Lead(base_seconds=60, jitter_seconds=0, deadline_seconds=20)
    run = await world.start_run(account, buy_in=5)
    await world.until_holding(run)
    assert [float(price) for price in limits_sent(world, "BUY")] == [3605.0]


async def test_limits_that_have_moved_are_read_again_when_an_exit_is_refused(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    await until_limits_are_read(world)
    world.sim.set_circuit("TCS", lower="3480", upper="3960")
    await world.price("TCS", "3481")
    await world.cross_stop(run, "3481")
    result = await world.result(run)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10)
    first, *others = (float(price) for price in limits_sent(world, "SELL"))
    assert first < 3480
    assert set(others) == {3480.0}
    assert world.sim.net_position("alice", "TCS") == 0


async def test_at_the_lower_circuit_one_order_rests_until_somebody_buys(world: World) -> None:
    world.sim.set_circuit("TCS", lower="3480", upper="3960")
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    await until_limits_are_read(world)
    await world.price("TCS", "3480")
    await world.cross_stop(run, "3480")
    patience = REPRICE_AFTER + timedelta(seconds=1)

    def rests_for_long(_: Run, orders: list[Order]) -> bool:
        """For longer than a re-price takes."""
        before = world.clock.now() - patience
        return any(o.leg == "exit" and o.state == "open" and o.claimed_at and o.claimed_at < before for o in orders)

    await world.until(run.id, rests_for_long, "one order rests")
    await world.price("TCS", "3490")
    result = await world.result(run)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10)
    assert [float(price) for price in limits_sent(world, "SELL")] == [3480.0]
    assert world.requests("modify") == []
