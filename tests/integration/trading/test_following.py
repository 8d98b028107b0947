"""What brokers do to an order after they took it: late words, refused changes, cancellations nobody asked for."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import update
from temporalio.client import Client

from simulator.control.answers import instrument_key
from storage.models import Order
from tests.integration.trading.world import World, trading_world
from tests.waiting import eventually
from trading.next_step import MAX_MODIFICATIONS
from trading.runs import EndReason

UPDATES = ["duplicate_update", "late_update", "regress_update", "no_order_updates"]


@pytest.fixture
async def world(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url, redis_url=redis_url, client=temporal_client, task_queue=task_queue
    ) as made:
        yield made


async def leave_without_buyers(world: World) -> str:
    """A run whose exit rests at the exchange because nobody buys; returns its id."""
    run = await world.start_run(await world.add_account())
    await world.until_holding(run)
    world.sim.set_depth("TCS", 0)
    await world.cross_stop(run, "3490")
    await world.until(run.id, lambda _, orders: orders[-1].leg == "exit" and orders[-1].state == "open", "the exit rests")
    return run.id


async def until_sold_once_buyers_are_back(world: World, run_id: str) -> None:
    world.sim.set_depth("TCS", None)
    await world.price("TCS", "3489")
    await world.until(run_id, lambda row, _: row.sold == 10, "sold")
    assert world.sim.net_position("alice", "TCS") == 0


@pytest.mark.parametrize("kind", UPDATES)
async def test_updates_that_come_twice_late_backwards_or_not_at_all_change_nothing(world: World, kind: str) -> None:
    account = await world.add_account()
    world.sim.add_fault(kind, count=None, delay_ms=300)
    run = await world.start_run(account)
    await world.until_holding(run)
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert (result.bought, result.sold) == (10, 10)
    assert world.sides() == ["BUY", "SELL"]
    assert sum(fill.quantity for fill in await world.fills(run.id)) == 20


async def test_a_price_that_gaps_through_the_stop_sells_below_the_new_price_and_not_at_the_stop(world: World) -> None:
    run = await world.start_run(await world.add_account())
    await world.until_holding(run)
    await world.cross_stop(run, "3300")
    assert (await world.result(run)).end_reason is EndReason.STOP_LOSS
    sold = world.requests("place")[1]["parameters"]
    assert float(sold["price"]) < 3300


async def test_an_exit_nobody_buys_is_repriced_into_its_third_band_by_the_one_order(world: World) -> None:
    run_id = await leave_without_buyers(world)
    await world.until(run_id, lambda _, orders: orders[-1].band_step >= 2, "the third band")
    await until_sold_once_buyers_are_back(world, run_id)
    assert world.sides() == ["BUY", "SELL"]
    assert len(world.requests("modify")) >= 2


async def test_a_refused_modification_is_tried_again(world: World) -> None:
    world.sim.add_fault("modify_refused", count=2)
    run_id = await leave_without_buyers(world)
    await world.until(run_id, lambda _, orders: orders[-1].modifications >= 1, "one of them is accepted")
    await until_sold_once_buyers_are_back(world, run_id)
    assert world.sides() == ["BUY", "SELL"]


async def test_an_exit_without_modifications_left_is_cancelled_and_replaced(world: World) -> None:
    run_id = await leave_without_buyers(world)
    async with world.database.transaction() as session:
        used_up = {"modifications": MAX_MODIFICATIONS, "revision": Order.revision + 1}
        await session.execute(update(Order).where(Order.run_id == run_id, Order.leg == "exit").values(**used_up))
    await eventually(lambda: world.sides() == ["BUY", "SELL", "SELL"], "a second order takes its place")
    assert len(world.requests("cancel")) == 1
    await until_sold_once_buyers_are_back(world, run_id)


async def test_an_exit_the_broker_cancels_by_itself_is_placed_again_and_alone(world: World) -> None:
    run_id = await leave_without_buyers(world)
    world.sim.broker_cancel("alice", message="Cancelled by the risk desk")
    await eventually(lambda: world.sides() == ["BUY", "SELL", "SELL"], "the next exit")
    await until_sold_once_buyers_are_back(world, run_id)
    assert world.sides() == ["BUY", "SELL", "SELL"]


async def test_an_exit_rejected_after_it_was_taken_is_placed_again(world: World) -> None:
    run = await world.start_run(await world.add_account())
    await world.until_holding(run)
    world.sim.add_fault("reject_async", endpoint="place", count=1, message="RMS: blocked")
    await world.cross_stop(run, "3490")
    assert (await world.result(run)).sold == 10
    assert world.sides() == ["BUY", "SELL", "SELL"]
    assert world.sim.net_position("alice", "TCS") == 0


async def test_an_entry_above_a_freeze_quantity_nobody_knew_of_ends_with_the_brokers_words(world: World) -> None:
    market = world.sim.exchange.market(instrument_key("TCS"))
    market.instrument = replace(market.instrument, freeze_quantity=5)
    run = await world.start_run(await world.add_account())
    result = await world.result(run)
    assert result.end_reason is EndReason.ENTRY_FAILED
    assert "freeze" in result.detail
    assert world.sim.net_position("alice", "TCS") == 0


async def test_an_entry_whose_login_has_ended_fails_and_the_user_is_told(world: World) -> None:
    account = await world.add_account()
    world.sim.expire_token("alice")
    await world.price("TCS", "3600")
    run = await world.start_run(account)
    result = await world.result(run)
    assert result.end_reason is EndReason.ENTRY_FAILED
    assert any("refused" in line for line in await world.timeline(run.id))
    assert world.sim.net_position("alice", "TCS") == 0


async def test_a_stop_while_the_entry_still_works_takes_its_rest_back_before_it_sells_what_was_filled(world: World) -> None:
    world.sim.add_fault("partial", endpoint="place", count=1, quantity=4)
    run = await world.start_run(await world.add_account())
    await world.until(run.id, lambda row, orders: row.bought == 4 and orders[-1].state == "armed", "a part is bought and covered")
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert (result.bought, result.sold, result.end_reason) == (4, 4, EndReason.STOP_LOSS)
    sells = [row for row in world.requests("place") if row["side"] == "SELL"]
    assert [row["parameters"]["quantity"] for row in sells] in (["4"], [4])
    assert world.requests("cancel")[0]["arrived_ns"] < sells[0]["arrived_ns"]
    assert world.sim.net_position("alice", "TCS") == 0
