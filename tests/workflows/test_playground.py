"""A simulation or backtest as a workflow: reckoned, shown for as long as asked, cancelled at any moment, told how it ended."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowHandle

from activities.messages import EndPlaying, PlaygroundInput, PlaygroundProgress, Reckoned
from runtime.temporal_worker import make_worker
from tests.waiting import eventually_asked
from tests.workflows.day import replay, settings_for
from tests.workflows.fakes import Gate
from tests.workflows.rounds import Reckoner
from tests.workflows.time import WorkflowTime
from workflows import names
from workflows.playground import FAILED, PlaygroundWorkflow


@pytest.fixture
async def reckoner(temporal_client: Client, task_queue: str) -> AsyncIterator[Reckoner]:
    fake = Reckoner()
    settings = settings_for(task_queue, max_cached_workflows=0)
    async with make_worker(temporal_client, settings, [fake.reckon, fake.end_playing], sandboxed=True):
        yield fake


async def start(client: Client, task_queue: str) -> WorkflowHandle[Any, None]:
    job_id = f"pgj_{uuid4().hex[:12]}"
    return await client.start_workflow(
        PlaygroundWorkflow.run,
        PlaygroundInput(job_id, "usr_1"),
        id=names.playground_workflow_id(job_id),
        task_queue=task_queue,
    )


async def progress(handle: WorkflowHandle[Any, None]) -> PlaygroundProgress:
    found: PlaygroundProgress = await handle.query(names.PROGRESS, result_type=PlaygroundProgress)
    return found


async def how_it_ended(handle: WorkflowHandle[Any, None], reckoner: Reckoner) -> EndPlaying:
    await handle.result()
    await replay(await handle.fetch_history())
    (end,) = reckoner.ended
    assert names.playground_workflow_id(end.job_id) == handle.id
    assert (await progress(handle)).stage == "over"
    return end


async def test_what_is_shown_at_once_is_over_when_it_is_reckoned(
    temporal_client: Client, task_queue: str, reckoner: Reckoner
) -> None:
    end = await how_it_ended(await start(temporal_client, task_queue), reckoner)
    assert (end.is_cancelled, end.failure) == (False, "")


async def test_a_day_is_shown_for_as_long_as_its_speed_asks(temporal_client: Client, task_queue: str, reckoner: Reckoner) -> None:
    reckoner.answer = Reckoned(play_seconds=4 * 3_600)
    time = WorkflowTime(temporal_client)
    handle = await start(temporal_client, task_queue)
    await eventually_asked(lambda: progress(handle), lambda found: found.stage == "showing", "it is shown")
    await time.forward(handle, timedelta(hours=1))
    assert reckoner.ended == []
    found = await progress(handle)
    assert (found.stage, found.play_seconds) == ("showing", 4 * 3_600)
    assert found.shown_since is not None
    assert await time.now(handle) - found.shown_since >= timedelta(hours=1)
    await time.forward_to_the_end(handle)
    assert not (await how_it_ended(handle, reckoner)).is_cancelled


async def test_one_that_is_cancelled_while_it_is_shown_says_so(
    temporal_client: Client, task_queue: str, reckoner: Reckoner
) -> None:
    reckoner.answer = Reckoned(play_seconds=4 * 3_600)
    handle = await start(temporal_client, task_queue)
    await eventually_asked(lambda: progress(handle), lambda found: found.stage == "showing", "it is shown")
    await handle.cancel()
    assert (await how_it_ended(handle, reckoner)).is_cancelled


async def test_one_that_is_cancelled_while_it_is_reckoned_waits_for_nobody(
    temporal_client: Client, task_queue: str, reckoner: Reckoner
) -> None:
    reckoner.gate = Gate()
    handle = await start(temporal_client, task_queue)
    await eventually_asked(
        lambda: progress(handle), lambda found: found.stage == "reckoning" and reckoner.asked > 0, "it is reckoned"
    )
    await handle.cancel()
    assert (await how_it_ended(handle, reckoner)).is_cancelled
    reckoner.gate.open()


async def test_two_bad_moments_of_a_worker_are_forgiven(temporal_client: Client, task_queue: str, reckoner: Reckoner) -> None:
    reckoner.failures = 2
    assert (await how_it_ended(await start(temporal_client, task_queue), reckoner)).failure == ""
    assert reckoner.asked == 3


async def test_what_fails_every_time_is_told_in_words(temporal_client: Client, task_queue: str, reckoner: Reckoner) -> None:
    reckoner.failures = 3
    assert (await how_it_ended(await start(temporal_client, task_queue), reckoner)).failure == FAILED
