"""The daily loss during a fall of prices: it locks the account, sells only if that was chosen, and trips once."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.client import Client

from execution.killing import release
from execution.loss import LossWatch
from storage.models import Alert, BrokerAccount, KillScope, KillSwitch, RiskLimit, Run
from tests.integration.trading.world import World, trading_world
from tests.waiting import DEADLINE_SECONDS, eventually
from trading.runs import EndReason


@pytest.fixture
async def world(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url, redis_url=redis_url, client=temporal_client, task_queue=task_queue
    ) as made:
        yield made


async def holding(world: World, **limits: Any) -> tuple[BrokerAccount, Run]:
    """Ten shares bought at about 3,600 with a stop far below, in an account with these limits."""
    account = await world.add_account()
    async with world.database.transaction() as session:
        session.add(RiskLimit(account_id=account.id, user_id=account.user_id, **limits))
    run = await world.start_run(account, stop_loss="3000")
    await world.until_holding(run)
    return account, run


async def switches(world: World) -> list[KillSwitch]:
    async with world.database.transaction() as session:
        return list(await session.scalars(select(KillSwitch).order_by(KillSwitch.id)))


async def open_alarms(world: World) -> list[str]:
    async with world.database.transaction() as session:
        return list(await session.scalars(select(Alert.kind).where(Alert.cleared_at.is_(None))))


async def until_tripped(world: World) -> KillSwitch:
    return (await until_switches(world, [True]))[0]


async def until_switches(world: World, engaged: list[bool]) -> list[KillSwitch]:
    """Until there are that many switches, each engaged or released as listed, oldest first."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            found = await switches(world)
            if [switch.released_at is None for switch in found] == engaged:
                return found
            await asyncio.sleep(0.02)


async def test_it_locks_the_account_once_and_a_person_resets_it(world: World) -> None:
    account, run = await holding(world, max_daily_loss=Decimal(500))
    await world.price("TCS", "3560")
    assert await world.floor.losses.look() == []
    await world.price("TCS", "3540")
    switch = await until_tripped(world)
    assert (switch.scope, switch.scope_id, switch.square_off) == (KillScope.ACCOUNT, account.id, False)
    assert "the limit is ₹500.00" in switch.reason
    assert "daily_loss_limit" in await open_alarms(world)
    refused = await world.start_run(account, symbol="INFY", stop_loss="1000")
    assert (await world.result(refused)).end_reason is EndReason.KILL_SWITCH
    async with world.database.transaction() as session:
        await release(
            session, scope=KillScope.ACCOUNT, scope_id=account.id, reason="seen", by=account.user_id, now=world.clock.now()
        )
    assert "daily_loss_limit" not in await open_alarms(world)
    await world.price("TCS", "3530")
    assert await world.floor.losses.look() == [], "the same loss trips once"
    await world.price("TCS", "3480")
    await until_switches(world, [False, True])
    assert world.sides() == ["BUY"], "nothing was sold: only locking was chosen"
    await world.cross_stop(run, "2990")
    assert (await world.result(run)).end_reason is EndReason.STOP_LOSS, "an exit leaves while the account is locked"


async def test_it_sells_what_is_held_if_that_was_chosen(world: World) -> None:
    _, run = await holding(world, max_daily_loss=Decimal(500), square_off_on_loss=True)
    await world.price("TCS", "3540")
    assert (await until_tripped(world)).square_off
    await eventually(lambda: world.sim.net_position("alice", "TCS") == 0, "sold by the desk")
    await world.until(run.id, lambda row, _: row.sold == 10, "flat by its own fills")
    assert world.sides() == ["BUY", "SELL"]
    assert (await world.run(run.id)).exit_reason == "kill_switch"


async def test_without_any_price_the_loss_is_reckoned_at_the_stop_and_nothing_is_sold(world: World) -> None:
    _, run = await holding(world, max_daily_loss=Decimal(5000), square_off_on_loss=True)
    world.sim.add_fault("status_500", endpoint="quote", count=10_000)
    await world.redis.flushall()
    # A worker that has just come up has seen no price before; the floor's own may not have seen one either, and be faster.
    await LossWatch(world.room.tools, world.floor, desks=world.floor.desks).look()
    (tripped,) = await switches(world)
    assert not tripped.square_off
    assert "assumed to be at its stop-loss" in tripped.reason
    assert world.sides() == ["BUY"]
    assert (await world.run(run.id)).exit_wanted_at is None
