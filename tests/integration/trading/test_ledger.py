"""Whose shares are whose, while other runs and the user trade the same stock in the same account."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from activities.messages import StopRequested
from execution.commands import take_stop
from execution.tasks import end
from tests.integration.trading.world import World, trading_world
from tests.waiting import eventually
from trading.instruments import Product
from trading.runs import EndReason
from workflows import names


@pytest.fixture
async def world(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url, redis_url=redis_url, client=temporal_client, task_queue=task_queue
    ) as made:
        yield made


def by_hand(world: World, side: str, quantity: int) -> None:
    world.sim.place_by_hand("alice", symbol="TCS", side=side, quantity=quantity)


async def test_two_runs_in_one_symbol_each_sell_their_own(world: World) -> None:
    account = await world.add_account()
    first = await world.start_run(account, quantity=10)
    second = await world.start_run(account, quantity=7, stop_loss="3300")
    await world.until_holding(first)
    await world.until_holding(second)
    await world.cross_stop(first, "3490")
    assert (await world.result(first)).sold == 10
    assert world.sim.net_position("alice", "TCS") == 7
    await world.cross_stop(second, "3290")
    assert (await world.result(second)).sold == 7
    assert world.sim.net_position("alice", "TCS") == 0


async def test_a_manual_holding_beside_a_run_is_left_alone(world: World) -> None:
    account = await world.add_account()
    by_hand(world, "BUY", 25)
    run = await world.start_run(account)
    await world.until_holding(run)
    by_hand(world, "SELL", 20)  # the user's own shares
    await world.cross_stop(run, "3490")
    assert (await world.result(run)).sold == 10
    assert world.sim.net_position("alice", "TCS") == 5


async def test_a_position_closed_by_hand_ends_the_run_and_is_not_sold_again(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    by_hand(world, "SELL", 10)
    await world.until(run.id, lambda row, _: row.taken_elsewhere == 10, "the foreign sale is seen twice")
    await world.cross_stop(run, "3490", signal=False)
    guarding = asyncio.create_task(world.guard().run())
    result = await world.result(run)
    await end([guarding])
    assert result.end_reason is EndReason.CLOSED_ELSEWHERE
    assert world.sides() == ["BUY"]
    assert world.sim.net_position("alice", "TCS") == 0


async def test_a_part_sold_by_hand_is_taken_off_the_exit(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    by_hand(world, "SELL", 4)
    await world.until(run.id, lambda row, orders: row.taken_elsewhere == 4 and orders[-1].quantity == 6, "the exit shrinks")
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert result.sold == 6
    assert world.sim.net_position("alice", "TCS") == 0


async def test_a_shortfall_is_taken_from_the_newest_run(world: World) -> None:
    account = await world.add_account()
    older = await world.start_run(account, quantity=10)
    await world.until_holding(older)
    newer = await world.start_run(account, quantity=10)
    await world.until_holding(newer)
    by_hand(world, "SELL", 6)
    await world.until(newer.id, lambda row, _: row.taken_elsewhere == 6, "the newest run loses them")
    assert (await world.run(older.id)).taken_elsewhere == 0


async def test_shares_that_were_left_to_the_user_are_his_to_sell_before_those_of_a_run(world: World) -> None:
    account = await world.add_account()
    left, held = [await world.start_run(account, quantity=10) for _ in range(2)]
    await world.until_holding(left)
    await world.until_holding(held)
    async with world.database.transaction() as session:
        user_id, now = account.user_id, world.clock.now()
        await take_stop(session, run_id=left.id, user_id=user_id, square_off=False, requested_by=user_id, now=now)
    await world.workflow(left).signal(names.STOP_REQUESTED, StopRequested(False, account.user_id, world.clock.now()))
    assert (await world.result(left)).end_reason is EndReason.LEFT_OPEN_BY_USER
    by_hand(world, "SELL", 12)
    await world.until(held.id, lambda row, _: row.taken_elsewhere, "the two that were not his are taken off the run")
    assert (await world.run(held.id)).taken_elsewhere == 2
    await world.cross_stop(held, "3490")
    assert (await world.result(held)).sold == 8
    assert world.sim.net_position("alice", "TCS") == 0


async def test_an_empty_position_read_takes_nothing_from_a_run(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    world.sim.add_fault("empty_positions", count=None)
    desk = world.floor.desks[account.id]
    for _ in range(3):
        desk.look_soon()
        await eventually(lambda: desk._look_at is not None and desk._look_at > world.clock.monotonic() + 1, "a look was taken")
    assert (await world.run(run.id)).taken_elsewhere == 0
    await world.cross_stop(run, "3490")
    assert (await world.result(run)).sold == 10


async def test_an_exit_cancelled_as_a_self_trade_is_placed_again_and_ends_flat(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    # The user's own resting buy above our limit: the exchange cancels our sale instead of matching the two.
    world.sim.set_depth("TCS", 0)
    world.sim.place_by_hand("alice", symbol="TCS", side="BUY", quantity=10, price="3595")
    await world.cross_stop(run, "3490")
    await eventually(lambda: world.sides() == ["BUY", "SELL"], "the first exit is at the exchange")
    world.sim.broker_cancel("alice")
    world.sim.set_depth("TCS", None)
    await world.price("TCS", "3489")
    result = await world.result(run)
    assert result.sold == 10
    assert world.sim.net_position("alice", "TCS") == 0


async def test_a_resting_buy_of_another_run_is_taken_back_before_a_sale_could_meet_it(world: World) -> None:
    account = await world.add_account()
    holding = await world.start_run(account, quantity=10)
    await world.until_holding(holding)
    world.sim.add_fault("never_fill", endpoint="place", count=1)
    buying = await world.start_run(account, quantity=5, stop_loss="3300")
    await world.until(buying.id, lambda _, orders: any(order.state == "open" for order in orders), "a buy rests")
    await world.cross_stop(holding, "3490")
    result = await world.result(holding)
    assert result.sold == 10
    sells = [row for row in world.requests("place") if row["side"] == "SELL"]
    assert len(sells) == 1, "the exchange met our own buy and cancelled the sale"
    cancelled, sold = world.requests("cancel")[0]["arrived_ns"], sells[0]["arrived_ns"]
    assert cancelled < sold


async def test_a_delivery_run_beside_an_intraday_run_in_one_symbol_each_sell_their_own(world: World) -> None:
    account = await world.add_account()
    intraday = await world.start_run(account, quantity=10)
    delivery = await world.start_run(account, quantity=7, stop_loss="3300", product=Product.CNC)
    await world.until_holding(intraday)
    await world.until_holding(delivery)
    await world.cross_stop(intraday, "3490")
    assert (await world.result(intraday)).sold == 10
    assert world.sim.net_position("alice", "TCS", product="CNC") == 7
    await world.cross_stop(delivery, "3290")
    assert (await world.result(delivery)).sold == 7
    assert world.sim.net_position("alice", "TCS", product="CNC") == world.sim.net_position("alice", "TCS") == 0
