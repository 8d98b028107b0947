"""The same strategy at every broker there is: it does not know where it trades. Judged by the exchange's own log."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from brokers.registry import BROKERS
from tests.integration.trading.world import World, trading_world
from trading.accounts import BrokerName
from trading.runs import EndReason


@pytest.fixture(params=list(BROKERS), ids=lambda name: name.value)
def broker(request: pytest.FixtureRequest) -> BrokerName:
    return BrokerName(request.param)


@pytest.fixture
async def world(
    broker: BrokerName, database_url: str, redis_url: str, temporal_client: Client, task_queue: str
) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url,
        redis_url=redis_url,
        client=temporal_client,
        task_queue=task_queue,
        brokers=(broker,),
        broker_timeout_seconds=2.0,
    ) as made:
        yield made


async def test_it_buys_holds_is_stopped_and_is_flat(world: World, broker: BrokerName) -> None:
    account = await world.add_account(broker=broker)
    run = await world.start_run(account)
    await world.until_holding(run)
    assert world.sim.net_position("alice", "TCS") == 10
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS, await world.timeline(run.id)
    assert (result.bought, result.sold) == (10, 10)
    assert world.sim.net_position("alice", "TCS") == 0
    assert world.sides() == ["BUY", "SELL"]


async def test_an_order_without_an_answer_is_found_by_its_tag_and_a_dead_token_only_delays_the_exit(
    world: World, broker: BrokerName
) -> None:
    account = await world.add_account(broker=broker)
    world.sim.add_fault("accept_then_drop", account="sim-alice", endpoint="place", count=1)
    run = await world.start_run(account)
    await world.until_holding(run)
    assert world.sides() == ["BUY"], "sent once, and found"
    world.sim.expire_token("alice")
    await world.cross_stop(run, "3490")
    await world.until(
        run.id, lambda row, orders: any(order.leg == "exit" and order.state != "armed" for order in orders), "the exit was tried"
    )
    assert world.sim.net_position("alice", "TCS") == 10
    await world.log_in_again(account)
    result = await world.result(run)
    assert result.end_reason is EndReason.STOP_LOSS, await world.timeline(run.id)
    assert world.sim.net_position("alice", "TCS") == 0
    accepted = [row["parameters"]["transaction_type"] for row in world.requests("place") if row["outcome"] == "accepted"]
    assert accepted == ["BUY", "SELL"]
