"""The product's last moment: what is still open becomes a person's, with an alarm, and nothing more is sent for it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from temporalio.client import Client

from execution.hand_over import alarm_key
from storage.models import Alert, Run
from tests.integration.trading.world import World, trading_world
from trading.orders import OrderState
from trading.runs import EndReason, Position
from trading.sessions import trading_date


@pytest.fixture
async def world(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url, redis_url=redis_url, client=temporal_client, task_queue=task_queue
    ) as made:
        yield made


async def alarm_of(world: World, run: Run) -> Alert | None:
    async with world.database.transaction() as session:
        return await session.scalar(select(Alert).where(Alert.key == alarm_key(run.id)))


async def until_alarmed(world: World, run: Run) -> None:
    await world.until(run.id, lambda row, _: row.handed_over_at, "handed over")


async def move_hand_over(world: World, run: Run, *, to: timedelta) -> None:
    """As if that much time had passed, or was left."""
    async with world.database.transaction() as session:
        await session.execute(update(Run).where(Run.id == run.id).values(hand_over_at=world.clock.now() + to))


async def test_an_exit_that_never_filled_is_taken_back_and_the_shares_are_handed_over(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account, hand_over_in=4.0)
    await world.until_holding(run)
    world.sim.add_fault("never_fill", endpoint="place", count=1)
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert (result.end_reason, result.position, result.sold) == (EndReason.HANDED_OVER, Position.BOUGHT, 0)
    assert world.sides() == ["BUY", "SELL"]
    assert len(world.requests("cancel")) == 1
    assert world.sim.net_position("alice", "TCS") == 10
    alarm = await alarm_of(world, run)
    assert alarm is not None
    assert alarm.cleared_at is None
    assert "10 TCS" in alarm.message


async def test_a_holding_run_that_nobody_looked_after_in_time_is_not_sold_after_the_last_moment(world: World) -> None:
    """As after an outage in the afternoon: the broker squares off by itself, and a second sale would leave the account short."""
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    await move_hand_over(world, run, to=timedelta(seconds=-1))
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert result.end_reason is EndReason.HANDED_OVER
    assert world.sides() == ["BUY"]
    assert [order.state for order in await world.orders(run.id)] == [OrderState.FILLED, OrderState.SUPERSEDED]


async def make_old(world: World, run: Run) -> None:
    async with world.database.transaction() as session:
        long_ago = world.clock.now() - timedelta(minutes=1)
        await session.execute(update(Run).where(Run.id == run.id).values(updated_at=long_ago))


async def test_the_workflow_of_a_run_that_was_handed_over_unasked_is_told(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    await move_hand_over(world, run, to=timedelta(seconds=-1))
    await until_alarmed(world, run)
    guard, ending = world.guard(), asyncio.create_task(world.result(run))
    while not ending.done():
        # The guard leaves a run alone whose row has just changed, and its exit may be taken down only now.
        await make_old(world, run)
        await guard.round()
        await asyncio.wait([ending], timeout=0.5)
    assert ending.result().end_reason is EndReason.HANDED_OVER
    assert world.sides() == ["BUY"]


async def test_an_exit_in_doubt_at_the_last_moment_that_turns_out_filled_ends_flat_and_clears_the_alarm(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    books = world.sim.add_fault("status_500", endpoint="orders", count=None)
    world.sim.add_fault("no_order_updates", count=None)
    world.sim.add_fault("accept_then_drop", endpoint="place", count=1)
    await world.cross_stop(run, "3490")
    await world.until(run.id, lambda _, orders: any(order.state is OrderState.UNKNOWN for order in orders), "in doubt")
    await move_hand_over(world, run, to=timedelta(seconds=-1))
    await until_alarmed(world, run)
    alarm = await alarm_of(world, run)
    assert alarm is not None
    assert "not known yet" in alarm.message
    world.sim.faults.remove(books.fault_id)
    result = await world.result(run)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10)
    assert world.sides() == ["BUY", "SELL"]
    alarm = await alarm_of(world, run)
    assert alarm is not None
    assert alarm.cleared_at is not None


async def test_an_order_in_doubt_when_the_brokers_day_has_ended_is_never_sent_again(world: World) -> None:
    account = await world.add_account()
    world.sim.add_fault("drop_before", endpoint="place", count=1)
    world.sim.add_fault("status_500", endpoint="orders", count=None)
    yesterday = trading_date(world.clock.now()) - timedelta(days=1)
    run = await world.start_run(account, trading_day=yesterday, hand_over_in=2.5)
    result = await world.result(run)
    assert (result.end_reason, result.bought) == (EndReason.HANDED_OVER, 0)
    assert "never learned" in result.detail
    assert [order.state for order in await world.orders(run.id)] == [OrderState.HANDED_OVER]
    assert len(world.requests("place")) <= 1
    alarm = await alarm_of(world, run)
    assert alarm is not None
    assert alarm.cleared_at is None
