"""A bug in a workflow: its tasks fail again and again, and the run is neither ended nor alone."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.messages import StrategyInput, StrategyResult
from runtime.temporal_worker import make_worker
from storage.models import Alert
from tests.integration.trading.world import World, trading_world
from tests.waiting import eventually_asked
from trading.runs import EndReason
from workflows import names


@workflow.defn(name=names.STRATEGY_WORKFLOW)
class PoisonedWorkflow:
    """What a deployment with a bug would run."""

    @workflow.run
    async def run(self, plan: StrategyInput) -> StrategyResult:
        raise RuntimeError("a bug")

    @workflow.signal(name=names.STOP_LOSS_HIT)
    def stop_loss_hit(self) -> None:
        raise RuntimeError("a bug")


@pytest.fixture
async def world(database_url: str, redis_url: str, temporal_client: Client, task_queue: str) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url, redis_url=redis_url, client=temporal_client, task_queue=task_queue, with_worker=False
    ) as made:
        yield made


async def alarms(world: World) -> list[str]:
    await world.guard().round()
    async with world.database.transaction() as session:
        return list(await session.scalars(select(Alert.kind).where(Alert.cleared_at.is_(None))))


async def test_a_poisoned_workflow_is_alarmed_its_desk_sells_and_it_ends_once_it_is_mended(world: World) -> None:
    account = await world.add_account()
    async with make_worker(world.client, world.settings, world.room.activities):
        run = await world.start_run(account)
        await world.until_holding(run)
    poisoned = Worker(
        world.client,
        task_queue=world.settings.task_queue,
        workflows=[PoisonedWorkflow],
        activities=world.room.activities,
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with poisoned:
        await world.cross_stop(run, "3490")
        await world.until(run.id, lambda row, _: row.sold == 10, "sold by the desk")
        await eventually_asked(lambda: alarms(world), lambda up: "workflow_stuck" in up, "the alarm")
    async with make_worker(world.client, world.settings, world.room.activities):
        assert (await world.result(run)).end_reason is EndReason.STOP_LOSS
    assert world.sides() == ["BUY", "SELL"]
