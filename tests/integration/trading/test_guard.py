"""A run is never without someone looking after it: its workflow may be lost or poisoned, its desk and the guard are not."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select
from temporalio.client import Client, WorkflowExecutionStatus

from execution.rush import Rush
from execution.tasks import end
from storage.models import Alert
from tests.integration.trading.world import World, trading_world
from trading.runs import EndReason


@pytest.fixture
async def world(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url, redis_url=redis_url, client=temporal_client, task_queue=task_queue
    ) as made:
        yield made


@pytest.fixture
async def guarded(world: World) -> AsyncIterator[World]:
    guarding = asyncio.create_task(world.guard().run())
    yield world
    await end([guarding])


async def alarms(world: World) -> list[str]:
    async with world.database.transaction() as session:
        return list(await session.scalars(select(Alert.kind).where(Alert.cleared_at.is_(None))))


async def test_a_terminated_workflow_is_replaced_and_the_run_goes_on_to_its_stop(guarded: World) -> None:
    account = await guarded.add_account()
    run = await guarded.start_run(account)
    await guarded.until_holding(run)
    await guarded.workflow(run).terminate("lost")

    async def taken_over() -> bool:
        return any(line.startswith("taken_over") for line in await guarded.timeline(run.id))

    async with asyncio.timeout(40):
        while not await taken_over():
            await asyncio.sleep(0.1)
    assert "workflow_lost" in await alarms(guarded)
    await guarded.cross_stop(run, "3490")
    result = await guarded.result(run)
    assert result.end_reason is EndReason.STOP_LOSS
    assert guarded.sides() == ["BUY", "SELL"]


async def test_a_lost_workflow_among_many_is_noticed_by_the_list_long_before_its_turn_comes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One workflow is asked after in a round; the one that is lost would be the last of them."""
    monkeypatch.setattr("runtime.guard.TURN_PER_ROUND", 1)
    monkeypatch.setattr("runtime.guard.PATIENCE", timedelta(0))
    account = await world.add_account()
    runs = sorted([await world.start_run(account, buy_in=600.0) for _ in range(4)], key=lambda run: run.id)
    lost = world.workflow(runs[-1])
    await lost.terminate("lost")
    async with asyncio.timeout(20):
        while await _is_listed(world.client, lost.id):
            await asyncio.sleep(0.05)
    await world.guard().round()
    assert (await lost.describe()).status is WorkflowExecutionStatus.RUNNING
    assert await alarms(world) == ["workflow_lost"]


async def test_the_guard_asks_after_nobody_before_a_herd_has_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workflow is lost while the herd leaves: had it been asked after before, it would have been found running."""
    monkeypatch.setattr("runtime.guard.PATIENCE", timedelta(0))
    lost = world.workflow(await world.start_run(await world.add_account(), buy_in=600.0))

    class Herd(Rush):
        async def pass_by(self) -> None:
            await lost.terminate("lost")

    await world.guard(Herd()).round()
    assert (await lost.describe()).status is WorkflowExecutionStatus.RUNNING
    assert await alarms(world) == ["workflow_lost"]


async def _is_listed(client: Client, workflow_id: str) -> bool:
    query = f"WorkflowId = '{workflow_id}' AND ExecutionStatus = 'Running'"
    return bool([seen async for seen in client.list_workflows(query)])


async def test_the_desk_sells_at_the_stop_while_the_workflow_is_lost(world: World) -> None:
    account = await world.add_account()
    run = await world.start_run(account)
    await world.until_holding(run)
    await world.workflow(run).terminate("lost")
    await world.cross_stop(run, "3490", signal=False)
    await world.until(run.id, lambda row, _: row.sold == 10, "sold by the desk")
    assert world.sim.net_position("alice", "TCS") == 0


async def test_a_run_whose_stop_signal_was_lost_ends_soon_after_its_desk_has_sold(guarded: World) -> None:
    account = await guarded.add_account()
    run = await guarded.start_run(account)
    await guarded.until_holding(run)
    await guarded.cross_stop(run, "3490", signal=False)
    result = await guarded.result(run)
    assert result.end_reason is EndReason.STOP_LOSS
    assert guarded.sides() == ["BUY", "SELL"]


async def test_an_exit_whose_timer_was_lost_is_fired_by_the_sweep(world: World) -> None:
    """The claim at the instant fails as if the database were away; with the head start on nobody else asks for it."""
    account = await world.add_account()
    run = await world.start_run(account, sell_in=3.0)
    await world.until_holding(run)
    await world.workflow(run).terminate("only the desk is left")
    world.floor.armed.keep((), mark=world.floor.armed.mark())
    await world.until(run.id, lambda row, _: row.sold == 10, "sold by the desk alone")
    assert world.sides() == ["BUY", "SELL"]
