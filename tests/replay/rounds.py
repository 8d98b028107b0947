"""Histories that are no strategy's: a round of comparing accounts, a look before the open, and what happens in the playground."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle

from activities.messages import PlaygroundInput, Reckoned
from runtime.settings import Settings
from runtime.temporal_worker import make_worker
from tests.waiting import eventually_asked
from tests.workflows.rounds import THREE, Batches, Looks, Reckoner
from tests.workflows.time import WorkflowTime
from workflows import names
from workflows.playground import PlaygroundWorkflow
from workflows.readiness import ReadinessWorkflow
from workflows.reconcile import ReconcileWorkflow

RecordedRound = Callable[[Client, Settings], Awaitable[WorkflowHandle[Any, Any]]]


async def accounts_compared(client: Client, settings: Settings) -> WorkflowHandle[Any, Any]:
    """Three batches, spread over the round."""
    fakes, time = Batches(dict(THREE)), WorkflowTime(client)
    async with make_worker(client, settings, [fakes.reconcile], sandboxed=True):
        handle = await time.skipping_client.start_workflow(
            ReconcileWorkflow.run, id="reconcile-recorded", task_queue=settings.task_queue
        )
        await time.forward_to_the_end(handle)
    return handle


async def looked_before_the_open(client: Client, settings: Settings) -> WorkflowHandle[Any, Any]:
    """Two batches, the second one tried again."""
    fakes = Looks()
    async with make_worker(client, settings, [fakes.check_accounts], sandboxed=True):
        handle = await client.start_workflow(
            ReadinessWorkflow.run, "08:45", id="readiness-recorded", task_queue=settings.task_queue
        )
        await handle.result()
    return handle


async def backtest(client: Client, settings: Settings) -> WorkflowHandle[Any, Any]:
    """Reckoned, and over."""
    return await _played(client, settings, Reckoner())


async def simulation_shown(client: Client, settings: Settings) -> WorkflowHandle[Any, Any]:
    """A day shown for four hours."""
    fake = Reckoner()
    fake.answer = Reckoned(play_seconds=4 * 3_600)
    return await _played(client, settings, fake)


async def simulation_cancelled(client: Client, settings: Settings) -> WorkflowHandle[Any, Any]:
    """Cancelled while it is shown."""
    fake = Reckoner()
    fake.answer = Reckoned(play_seconds=4 * 3_600)
    return await _played(client, settings, fake, cancelled=True)


async def backtest_given_up(client: Client, settings: Settings) -> WorkflowHandle[Any, Any]:
    """It fails every time."""
    fake = Reckoner()
    fake.failures = 3
    return await _played(client, settings, fake)


async def _played(client: Client, settings: Settings, fake: Reckoner, *, cancelled: bool = False) -> WorkflowHandle[Any, Any]:
    time, job_id = WorkflowTime(client), f"pgj_{settings.task_queue.rpartition('-')[2]}"
    async with make_worker(client, settings, [fake.reckon, fake.end_playing], sandboxed=True):
        handle: WorkflowHandle[Any, Any] = await client.start_workflow(
            PlaygroundWorkflow.run,
            PlaygroundInput(job_id, "usr_1"),
            id=names.playground_workflow_id(job_id),
            task_queue=settings.task_queue,
        )
        if fake.answer.play_seconds:
            await eventually_asked(lambda: _stage(handle), lambda stage: stage == "showing", "it is shown")
        if cancelled:
            await handle.cancel()
            await handle.result()
        elif fake.answer.play_seconds:
            await time.forward(handle, timedelta(seconds=fake.answer.play_seconds - 1))
            await handle.result()
        else:
            await handle.result()
    return handle


async def _stage(handle: WorkflowHandle[Any, Any]) -> str:
    return str((await handle.query(names.PROGRESS))["stage"])


ROUNDS: tuple[RecordedRound, ...] = (
    accounts_compared,
    looked_before_the_open,
    backtest,
    backtest_given_up,
    simulation_shown,
    simulation_cancelled,
)
