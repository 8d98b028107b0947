"""A worker's desks when they are given up: what is claimed is sent, and answers are waited for."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from temporalio.client import Client

from tests.integration.trading.world import World, trading_world
from tests.waiting import DEADLINE_SECONDS, eventually
from trading.lead import Lead


@pytest.fixture
async def world(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url,
        redis_url=redis_url,
        client=temporal_client,
        task_queue=task_queue,
        broker_timeout_seconds=5.0,
    ) as made:
        yield made


async def test_an_answer_that_is_under_way_is_stored_before_the_desk_is_left(world: World) -> None:
    run = await world.start_run(await world.add_account())
    await world.until_holding(run)
    world.sim.add_fault("slow", endpoint="place", count=1, delay_ms=1000)
    await world.cross_stop(run, "3490", signal=False)
    await eventually(lambda: world.sides() == ["BUY", "SELL"], "the exit is at the exchange")
    await world.floor.close()
    sold = (await world.orders(run.id))[-1]
    assert sold.acknowledged_at is not None
    assert sold.broker_order_id is not None


async def test_what_is_being_claimed_as_the_desk_is_left_is_still_sent(world: World) -> None:
    world.lead = Lead(base_seconds=3.0, jitter_seconds=0.0, deadline_seconds=60.0)
    await world.price("TCS", "3600")
    run = await world.start_run(await world.add_account(), buy_in=4.0)
    await world.until(run.id, lambda _, orders: any(order.state == "armed" for order in orders), "the entry is armed")
    async with world.database.engine.connect() as connection:
        # The claim asks for kill switches; as long as nobody may read them it stands still in the middle.
        await connection.execute(text("LOCK TABLE kill_switches IN ACCESS EXCLUSIVE MODE"))
        await until_a_claim_waits(world)
        closing = asyncio.create_task(world.floor.close())
        await asyncio.sleep(0)
        await connection.rollback()
    await closing
    assert world.sides() == ["BUY"]
    assert [order.state for order in await world.orders(run.id)] == ["open"] or (await world.run(run.id)).bought == 10


async def until_a_claim_waits(world: World) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
    waiting += "AND query LIKE '%WITH wanted AS%'"
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            async with world.database.transaction() as session:
                if (await session.execute(text(waiting))).scalar_one():
                    return
            await asyncio.sleep(0.02)


async def test_a_claim_whose_lease_went_meanwhile_is_given_back_and_sent_by_the_next_owner(world: World) -> None:
    """As in a process that was paused between its claim and its send."""
    account = await world.add_account()
    world.lead = Lead(base_seconds=3.0, jitter_seconds=0.0, deadline_seconds=60.0)
    await world.price("TCS", "3600")
    run = await world.start_run(account, buy_in=4.0)
    await world.until(run.id, lambda _, orders: any(order.state == "armed" for order in orders), "the entry is armed")
    async with world.database.engine.connect() as connection:
        await connection.execute(text("LOCK TABLE kill_switches IN ACCESS EXCLUSIVE MODE"))
        await until_a_claim_waits(world)
        await give_lease_to(world, "somebody else")
        await eventually(lambda: account.id not in world.floor.desks, "the desk is left")
        await connection.rollback()
    await world.until(run.id, lambda _, orders: orders[0].state == "armed", "given back")
    assert world.sides() == []
    await give_lease_to(world, None)
    await world.until_holding(run)
    assert world.sides() == ["BUY"]
    assert [order.attempt for order in await world.orders(run.id) if order.leg == "entry"] == [1], "it was held absent"


async def give_lease_to(world: World, owner: str | None) -> None:
    until = "clock_timestamp() + interval '1 hour'" if owner else "'epoch'"
    async with world.database.transaction() as session:
        await session.execute(text(f"UPDATE desk_leases SET owner = :owner, expires_at = {until}"), {"owner": owner})  # noqa: S608 (constants only)
