"""The database comes back on another server, or older than the world; a worker starts while something is in doubt.

In each case the broker's book is compared before anything new is sent. Judged by the exchange's log.
"""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, update
from temporalio.client import Client

from api.readiness import FROZEN_ACCOUNTS
from execution import leases
from execution.servers import ServerWatch
from storage.models import BrokerAccount, DatabaseServer, DeskLease
from tests.integration.trading.books import alarms, another_worker, forget, forget_the_exit, holding
from tests.integration.trading.world import World, trading_world
from tests.waiting import eventually
from tests.workflows.day import until
from trading.orders import Leg, OrderState
from trading.runs import EndReason

ELSEWHERE = "7300000000000000000/00000001"


@pytest.fixture
async def world(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url, redis_url=redis_url, client=temporal_client, task_queue=task_queue
    ) as made:
        yield made


async def on_another_server(world: World) -> None:
    """As the rows of a backup are: written on a server that is not this one."""
    async with world.database.transaction() as session:
        await session.execute(update(DatabaseServer).values(identity=ELSEWHERE))
        await session.execute(update(DeskLease).values(compared_server=ELSEWHERE))


async def compared_on(world: World, account: BrokerAccount) -> str | None:
    async with world.database.transaction() as session:
        lease = await session.scalar(select(DeskLease).where(DeskLease.account_id == account.id))
        assert lease is not None
        return lease.compared_server


async def frozen(world: World) -> int:
    """As readiness counts them."""
    async with world.database.transaction() as session:
        return await session.scalar(FROZEN_ACCOUNTS) or 0


# --- another server -----------------------------------------------------------------------------------------------------


async def test_a_purchase_that_a_restored_database_holds_unsent_is_found_and_not_made_again(world: World) -> None:
    account = await world.add_account()
    run = await holding(world, account)
    here = await compared_on(world, account)
    await world.floor.close()
    await forget(world, run, OrderState.ARMED)
    await on_another_server(world)
    assert await frozen(world) == 1
    async with another_worker(world):
        await until(lambda: alarms(world, account), lambda up: "account_frozen" in up, "it is told")
        await until(lambda: compared_on(world, account), lambda server: server == here, "the account is compared")
        assert set(await alarms(world, account)) == set()
        assert await frozen(world) == 0
        await world.until_holding(run)
        assert world.sides() == ["BUY"]
        await world.cross_stop(run, "3490")
        result = await world.result(run)
    assert (result.end_reason, result.sold) == (EndReason.STOP_LOSS, 10)
    assert world.sides() == ["BUY", "SELL"]
    assert world.sim.net_position("alice", "TCS") == 0


async def test_an_exit_that_was_sold_already_is_not_sold_again_by_a_restored_database(world: World) -> None:
    account = await world.add_account()
    run = await holding(world, account)
    await world.cross_stop(run, "3490", signal=False)
    await world.until(run.id, lambda row, _: row.sold == 10, "sold")
    await world.floor.close()
    await forget_the_exit(world, run)
    await on_another_server(world)
    async with another_worker(world):
        await world.cross_stop(run, "3489")
        await world.until(run.id, lambda row, _: row.sold == 10, "the sale is found")
        assert (await world.result(run)).sold == 10
    assert world.sides() == ["BUY", "SELL"]
    assert world.sim.net_position("alice", "TCS") == 0


async def test_an_account_stays_frozen_while_its_book_cannot_be_read(world: World) -> None:
    account = await world.add_account()
    run = await holding(world, account)
    await world.floor.close()
    await on_another_server(world)
    away = world.sim.add_fault("status_503", endpoint="orders", count=None)
    async with another_worker(world) as room:
        await eventually(lambda: account.id in room.floor.desks, "the new worker has the desk")
        await world.cross_stop(run, "3490")
        await eventually(lambda: away.hits >= 6, "the book was asked for again and again")
        assert world.sides() == ["BUY"], "not even the exit leaves"
        world.sim.faults.remove(away.fault_id)
        assert (await world.result(run)).end_reason is EndReason.STOP_LOSS
    assert world.sides() == ["BUY", "SELL"]


async def test_an_account_made_on_the_day_of_a_change_waits_for_its_comparison(world: World) -> None:
    account = await world.add_account()
    other = await world.add_account("bob")
    async with world.database.transaction() as session:
        await leases.ensure(session, account.id)
        session.add(DatabaseServer(identity=ELSEWHERE, is_change=True))
        await session.flush()
        await leases.ensure(session, other.id)
    assert await compared_on(world, account) is not None
    assert await compared_on(world, other) is None


async def test_a_log_that_went_back_freezes_every_account(world: World) -> None:
    """The disk of the same server was put back to an older state: its identity is the same, its log is shorter."""
    account = await world.add_account()
    await holding(world, account)
    await world.floor.close()
    watch = ServerWatch(world.room.tools, here=lambda: [], changed=lambda _: None)
    await watch.round()
    assert await frozen(world) == 0
    assert watch._seen is not None
    identity, position = watch._seen
    watch._seen = (identity, position + 10**12)
    await watch.round()
    assert await compared_on(world, account) is None
    assert await frozen(world) == 1


# --- the start of a worker ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leg", [Leg.ENTRY, Leg.EXIT], ids=["entry", "exit"])
async def test_after_a_restart_nothing_new_is_sent_for_a_run_in_doubt_before_its_book_was_read(world: World, leg: Leg) -> None:
    account = await world.add_account()
    if leg is Leg.EXIT:
        run = await holding(world, account)
        before = ["BUY", "SELL"]
    else:
        before = ["BUY"]
    unread = world.sim.add_fault("status_503", endpoint="orders", count=None)
    world.sim.add_fault("no_order_updates", count=None)
    world.sim.add_fault("accept_then_drop", endpoint="place", count=1)
    if leg is Leg.EXIT:
        await world.cross_stop(run, "3490", signal=False)
    else:
        run = await world.start_run(account)
    await world.until(run.id, lambda _, orders: orders and orders[-1].state is OrderState.UNKNOWN, "an order is in doubt")
    await world.floor.close()
    asked = unread.hits
    async with another_worker(world) as room:
        await eventually(lambda: account.id in room.floor.desks, "the new worker has the desk")
        await world.cross_stop(run, "3480", signal=False)
        await eventually(lambda: unread.hits >= asked + 4, "the book was asked for again and again")
        assert world.sides() == before
        world.sim.faults.remove(unread.fault_id)
        if leg is Leg.ENTRY:
            await world.until_holding(run)
            await world.cross_stop(run, "3470", signal=False)
        await world.until(run.id, lambda row, _: row.sold == 10, "sold")
    assert world.sides() == ["BUY", "SELL"]
    assert world.sim.net_position("alice", "TCS") == 0
