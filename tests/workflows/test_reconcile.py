"""The round that compares accounts with their brokers: every batch once, spread, visible, and never two rounds at a time."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import Client, ScheduleOverlapPolicy
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.messages import AccountsReconciled, ReconcileResult
from local.namespace import ensure_namespace
from runtime.temporal_worker import ensure_schedules, make_worker
from tests.waiting import eventually
from tests.workflows.day import replay, settings_for
from tests.workflows.rounds import THREE, Batches
from tests.workflows.time import WorkflowTime
from workflows import names
from workflows.reconcile import SPREAD, ReconcileWorkflow, pause_before_next


@pytest.fixture
async def batches(temporal_client: Client, task_queue: str) -> AsyncIterator[Batches]:
    fakes = Batches(dict(THREE))
    async with make_worker(temporal_client, settings_for(task_queue), [fakes.reconcile], sandboxed=True):
        yield fakes


async def test_every_batch_is_asked_for_once_spread_over_the_round_and_summed_up(
    temporal_client: Client, task_queue: str, batches: Batches
) -> None:
    batches.failures = 1
    time = WorkflowTime(temporal_client)
    handle = await time.skipping_client.start_workflow(
        ReconcileWorkflow.run, id=f"reconcile-{uuid4().hex}", task_queue=task_queue
    )
    await time.forward_to_the_end(handle)
    assert await handle.result() == ReconcileResult(compared=118, differences=3, unread=2)
    assert [request.after for request in batches.asked] == ["", "", "brk_b", "brk_c"], "one that failed is asked for again"
    assert len({request.at for request in batches.asked}) == 1
    history = await handle.fetch_history()
    slept = [event.timer_started_event_attributes.start_to_fire_timeout for event in history.events if event.event_type == 17]
    assert len(slept) == 2
    assert sum((span.ToTimedelta() for span in slept), timedelta(0)) <= SPREAD
    await replay(history)


async def test_an_operator_reads_how_far_the_round_is(temporal_client: Client, task_queue: str, batches: Batches) -> None:
    time = WorkflowTime(temporal_client)
    handle = await temporal_client.start_workflow(ReconcileWorkflow.run, id=f"reconcile-{uuid4().hex}", task_queue=task_queue)
    await eventually(lambda: batches.asked, "the first batch")
    await time.forward_to_the_end(handle)
    details = await handle.query("__temporal_workflow_metadata")
    assert "118 accounts compared, 3 differences, 2 could not be read, 0 still to come" in str(details)


async def test_with_nothing_to_compare_a_round_ends_at_once(temporal_client: Client, task_queue: str, batches: Batches) -> None:
    batches.answers = {"": AccountsReconciled()}
    handle = await temporal_client.start_workflow(ReconcileWorkflow.run, id=f"reconcile-{uuid4().hex}", task_queue=task_queue)
    assert await handle.result() == ReconcileResult()
    assert len(batches.asked) == 1


async def test_the_schedule_starts_a_round_every_30_s_never_two_at_a_time_and_can_be_triggered(
    temporal_address: str, task_queue: str
) -> None:
    namespace = f"schedule-{uuid4().hex}"
    await ensure_namespace(temporal_address, namespace, search_attributes=names.SEARCH_ATTRIBUTES)
    client = await Client.connect(temporal_address, namespace=namespace, data_converter=pydantic_data_converter)
    fakes = Batches({"": AccountsReconciled()})
    async with make_worker(client, settings_for(task_queue), [fakes.reconcile], sandboxed=True):
        await ensure_schedules(client, settings_for(task_queue))
        schedule = client.get_schedule_handle(names.RECONCILE_SCHEDULE)
        described = await schedule.describe()
        assert described.schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
        first, second = described.info.next_action_times[:2]
        assert second - first == timedelta(seconds=30)
        await schedule.trigger()
        await eventually(lambda: fakes.asked, "a round has begun")
        await schedule.pause(note="the test is over")
    assert abs(fakes.asked[0].at - datetime.now(UTC)) < timedelta(minutes=5)


@given(st.integers(0, 100_000), st.integers(0, 200), st.integers(0, 100))
def test_batches_are_spread_evenly_over_what_is_left_of_the_round(milliseconds: int, size: int, left: int) -> None:
    time_left = timedelta(milliseconds=milliseconds)
    pause = pause_before_next(time_left, size=size, left=left)
    assert timedelta(0) < pause <= max(time_left, timedelta(milliseconds=1))
    batches = -(-left // max(1, size))
    assert pause * batches <= max(time_left, batches * timedelta(milliseconds=1)) + batches * timedelta(microseconds=1)


def test_a_round_that_is_late_does_not_wait() -> None:
    assert pause_before_next(timedelta(seconds=-5), size=50, left=500) == timedelta(milliseconds=1)
