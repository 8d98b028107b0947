"""The kill switch at every moment of a trade, on rows alone: nobody signals a workflow here. Judged by the exchange's own log."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import func, select
from temporalio.client import Client

from execution.desk import Desk
from execution.killing import Wanted, engage, release
from storage.models import BrokerAccount, KillScope
from tests.integration.trading.world import World, trading_world
from tests.waiting import eventually
from trading.orders import OrderState
from trading.runs import EndReason, Position


@pytest.fixture
async def fast_world(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    """With the desk's head start only: what these tests show does not depend on who sends."""
    async with trading_world(
        database_url=database_url, redis_url=redis_url, client=temporal_client, task_queue=task_queue
    ) as made:
        yield made


async def press(
    world: World,
    account: BrokerAccount,
    *,
    scope: KillScope = KillScope.ACCOUNT,
    scope_id: str | None = None,
    square_off: bool = False,
) -> datetime:
    """Engage it as the API does, without telling any workflow. Returns the database's time right after the commit."""
    target = account.id if scope_id is None else scope_id
    async with world.database.transaction() as session:
        wanted = Wanted(scope, target, square_off, "enough", by=account.user_id)
        await engage(session, wanted, now=world.clock.now())
    async with world.database.transaction() as session:
        committed: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    await world.room.tools.notices.account(account.id)
    return committed


class HeldBroker:
    """The account's broker with a person's foot in the door: an order waits there, claimed, before it reaches the wire."""

    def __init__(self, broker: Any) -> None:
        self._broker = broker
        self.waiting = 0
        self.door = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    async def place(self, *args: Any, **options: Any) -> Any:
        self.waiting += 1
        await self.door.wait()
        return await self._broker.place(*args, **options)


async def desk_of(world: World, account: BrokerAccount) -> Desk:
    await eventually(lambda: account.id in world.floor.desks, "the account has its desk")
    return world.floor.desks[account.id]


async def until_asleep(world: World, run_id: str) -> None:
    """The workflow has read the rows for the last time before it arms the entry."""
    await world.until(run_id, lambda row, _: row.started_at is not None, "the run has begun")


async def until_armed(world: World, run_id: str) -> None:
    await world.until(run_id, lambda _, orders: any(order.state == "armed" for order in orders), "entry armed")


async def test_in_the_lead_time_nothing_leaves(fast_world: World) -> None:
    world = fast_world
    account = await world.add_account()
    world.lead = type(world.lead)(base_seconds=5.0, jitter_seconds=0.0, deadline_seconds=20.0)
    run = await world.start_run(account, buy_in=3.0)
    await until_armed(world, run.id)
    await press(world, account)
    result = await world.result(run)
    assert result.end_reason is EndReason.KILL_SWITCH
    assert world.sides() == []
    assert any("the entry that was armed does not leave" in line for line in await world.timeline(run.id))


async def test_claimed_and_not_yet_written_it_does_not_leave(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account, buy_in=2.0)
    desk = await desk_of(world, account)
    held = HeldBroker(desk.broker)
    desk.broker = held  # type: ignore[assignment]
    await eventually(lambda: held.waiting, "the entry is claimed and on its way")
    (order,) = await world.orders(run.id)
    assert order.state is OrderState.SENDING
    await press(world, account)
    board = world.room.tools.switchboard
    await eventually(lambda: board.locks(order), "the worker knows of the switch")
    held.door.set()
    result = await world.result(run)
    assert result.end_reason is EndReason.KILL_SWITCH
    assert world.sides() == []


async def test_the_rest_of_a_working_entry_is_cancelled_and_what_was_filled_keeps_its_stop(fast_world: World) -> None:
    world = fast_world
    account = await world.add_account()
    world.sim.set_depth("TCS", 4)
    run = await world.start_run(account)
    await world.until(run.id, lambda row, orders: row.bought, "a part is bought")
    await press(world, account)
    await world.until(run.id, lambda row, orders: orders[0].state == "cancelled", "the rest is cancelled")
    assert len(world.requests("cancel")) == 1
    bought = world.sim.net_position("alice", "TCS")
    assert 0 < bought < 10
    assert world.sides() == ["BUY"]
    world.sim.set_depth("TCS", None)
    await world.cross_stop(run, "3490")
    result = await world.result(run)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, bought), "an exit leaves while the switch is on"
    assert world.sim.net_position("alice", "TCS") == 0


async def test_squaring_off_sells_what_is_held_although_no_workflow_was_told(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    await press(world, account, scope=KillScope.STRATEGY, scope_id=run.strategy_id, square_off=True)
    await eventually(lambda: world.sim.net_position("alice", "TCS") == 0, "sold by the desk")
    guarding = asyncio.create_task(world.guard().run())
    result = await world.result(run)
    guarding.cancel()
    assert (result.end_reason, result.position) == (EndReason.KILL_SWITCH, Position.SOLD)
    assert world.sides() == ["BUY", "SELL"]
    assert any("selling 10 TCS" in line for line in await world.timeline(run.id))


async def test_squaring_off_while_the_entry_works_leaves_nothing_behind(fast_world: World) -> None:
    world = fast_world
    account = await world.add_account()
    world.sim.set_depth("TCS", 4)
    run = await world.start_run(account)
    await world.until(run.id, lambda row, orders: row.bought, "a part is bought")
    world.sim.set_depth("TCS", None)
    await press(world, account, square_off=True)
    guarding = asyncio.create_task(world.guard().run())
    result = await world.result(run)
    guarding.cancel()
    assert result.end_reason is EndReason.KILL_SWITCH
    assert result.bought == result.sold > 0
    assert world.sim.net_position("alice", "TCS") == 0


async def test_a_run_that_has_not_begun_ends_although_its_workflow_was_never_told(fast_world: World) -> None:
    world = fast_world
    account = await world.add_account()
    run = await world.start_run(account, buy_in=4.0)
    await until_asleep(world, run.id)
    await press(world, account, scope=KillScope.USER, scope_id=account.user_id, square_off=True)
    result = await world.result(run)
    assert result.end_reason is EndReason.KILL_SWITCH
    assert world.sides() == []


async def test_a_run_whose_buy_time_is_far_away_hears_of_it_from_the_guard(fast_world: World) -> None:
    world = fast_world
    account = await world.add_account()
    run = await world.start_run(account, buy_in=3000.0, sell_in=6000.0)
    await until_asleep(world, run.id)
    await press(world, account, square_off=True)
    guarding = asyncio.create_task(world.guard().run())
    result = await world.result(run)
    guarding.cancel()
    assert result.end_reason is EndReason.KILL_SWITCH
    assert world.sides() == []


async def test_released_before_its_buy_time_a_run_buys_as_planned(fast_world: World) -> None:
    world = fast_world
    account = await world.add_account()
    run = await world.start_run(account, buy_in=4.0)
    await until_asleep(world, run.id)
    await press(world, account)
    async with world.database.transaction() as session:
        await release(
            session, scope=KillScope.ACCOUNT, scope_id=account.id, reason="over", by=account.user_id, now=world.clock.now()
        )
    await world.until_holding(run)
    assert world.sides() == ["BUY"]
