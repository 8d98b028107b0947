"""The same strategy at every broker there is: it does not know where it trades. Judged by the exchange's own log."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from brokers.registry import BROKERS
from storage.models import Order
from tests.integration.trading.test_kill_switch import press
from tests.integration.trading.world import World, trading_world
from tests.waiting import eventually
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


async def test_an_exit_without_buyers_is_repriced_by_the_one_order(world: World, broker: BrokerName) -> None:
    run = await world.start_run(await world.add_account(broker=broker))
    await world.until_holding(run)
    world.sim.set_depth("TCS", 0)
    await world.cross_stop(run, "3490")
    await world.until(run.id, lambda _, orders: orders[-1].band_step >= 1, "the second band")
    world.sim.set_depth("TCS", None)
    await world.price("TCS", "3489")
    result = await world.result(run)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10), await world.timeline(run.id)
    assert world.sides() == ["BUY", "SELL"]
    assert any(row["outcome"] == "accepted" for row in world.requests("modify"))
    assert world.sim.net_position("alice", "TCS") == 0


async def test_a_cancel_that_meets_a_fill_leaves_all_that_was_bought_under_its_stop(world: World, broker: BrokerName) -> None:
    account = await world.add_account(broker=broker)
    world.sim.set_depth("TCS", 4)
    run = await world.start_run(account)
    await world.until(run.id, lambda row, orders: row.bought, "a part is bought")
    world.sim.add_fault("slow", account="sim-alice", endpoint="cancel", count=1, when="before", delay_ms=700)
    await press(world, account)
    await eventually(lambda: world.sim.faults.faults[0].is_spent, "the cancel is on its way")
    world.sim.set_depth("TCS", None)
    world.sim.set_price("TCS", "3600")
    assert world.sim.net_position("alice", "TCS") == 10
    await world.until(run.id, lambda row, orders: orders[0].state == "filled", "the fill wins")
    await world.until_holding(run)
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert (result.end_reason, result.bought, result.sold) == (EndReason.STOP_LOSS, 10, 10), await world.timeline(run.id)
    assert world.sides() == ["BUY", "SELL"]
    assert world.sim.net_position("alice", "TCS") == 0


async def test_a_backup_stop_rests_there_and_becomes_the_exit_by_being_modified(world: World, broker: BrokerName) -> None:
    run = await world.start_run(await world.add_account(broker=broker), backup_stop=True)
    await world.until(run.id, lambda _, orders: is_backed_up(orders), "a stop rests at the broker")
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10), await world.timeline(run.id)
    assert world.sides() == ["BUY", "SELL"]
    assert [row["outcome"] for row in world.requests("modify")] == ["accepted"]
    assert world.requests("cancel") == []
    assert world.sim.net_position("alice", "TCS") == 0


async def test_a_backup_stop_sells_there_while_nothing_of_ours_hears_of_the_price(world: World, broker: BrokerName) -> None:
    run = await world.start_run(await world.add_account(broker=broker), backup_stop=True)
    await world.until(run.id, lambda _, orders: is_backed_up(orders), "a stop rests at the broker")
    world.sim.set_price("TCS", "3464")
    await world.until(run.id, lambda row, _: row.sold == 10, "the broker's own sale is in our rows")
    assert (await world.run(run.id)).exit_reason == "stop_loss"
    assert world.requests("modify") == []
    assert world.sides() == ["BUY", "SELL"]
    assert world.sim.net_position("alice", "TCS") == 0


def is_backed_up(orders: list[Order]) -> bool:
    return any(order.leg == "exit" and order.state == "open" and order.backup_trigger is not None for order in orders)


async def test_an_order_that_dhans_book_does_not_show_is_found_by_its_tag_and_not_sent_again(
    database_url: str, redis_url: str, temporal_client: Client, task_queue: str
) -> None:
    stores = {"database_url": database_url, "redis_url": redis_url, "client": temporal_client, "task_queue": task_queue}
    async with trading_world(**stores, brokers=(BrokerName.DHAN,)) as world:
        account = await world.add_account(broker=BrokerName.DHAN)
        world.sim.add_fault("accept_then_drop", endpoint="place", count=1)
        world.sim.add_fault("stale_book", endpoint="orders", count=None, seconds=3600)
        world.sim.add_fault("no_order_updates", count=None)
        run = await world.start_run(account)
        await world.until(run.id, lambda _, orders: any(order.broker_order_id for order in orders), "found by its tag")
        world.sim.faults.clear()
        await world.until_holding(run)
        await world.cross_stop(run, "3490")
        assert (await world.result(run)).end_reason is EndReason.STOP_LOSS
        assert world.sides() == ["BUY", "SELL"]
        assert world.sim.net_position("alice", "TCS") == 0
