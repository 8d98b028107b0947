"""The look before the open: every batch once, tried again after a bad moment, started by a schedule at its two times."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.messages import AccountsChecked
from local.namespace import ensure_namespace
from runtime.temporal_worker import ensure_schedules, make_worker
from tests.waiting import eventually
from tests.workflows.day import replay, settings_for
from tests.workflows.rounds import Looks
from workflows import names
from workflows.readiness import ReadinessWorkflow


@pytest.fixture
async def looks(temporal_client: Client, task_queue: str) -> AsyncIterator[Looks]:
    fakes = Looks()
    async with make_worker(temporal_client, settings_for(task_queue), [fakes.check_accounts], sandboxed=True):
        yield fakes


async def test_every_batch_is_looked_at_and_summed_up(temporal_client: Client, task_queue: str, looks: Looks) -> None:
    handle = await temporal_client.start_workflow(
        ReadinessWorkflow.run, "08:45", id=f"readiness-{uuid4().hex}", task_queue=task_queue
    )
    assert await handle.result() == AccountsChecked(25, 4)
    assert [(request.after, request.check_time) for request in looks.asked] == [("", "08:45"), *[("brk_b", "08:45")] * 2]
    began = (await handle.describe()).start_time
    assert {request.trading_day for request in looks.asked} == {(began + timedelta(hours=5, minutes=30)).date()}
    await replay(await handle.fetch_history())


async def test_the_schedules_look_at_both_times_of_the_morning(temporal_address: str, task_queue: str) -> None:
    namespace = f"readiness-{uuid4().hex}"
    await ensure_namespace(temporal_address, namespace, search_attributes=names.SEARCH_ATTRIBUTES)
    client = await Client.connect(temporal_address, namespace=namespace, data_converter=pydantic_data_converter)
    fakes = Looks()
    async with make_worker(client, settings_for(task_queue), [fakes.check_accounts], sandboxed=True):
        await ensure_schedules(client, settings_for(task_queue))
        for check_time in names.READINESS_TIMES:
            schedule = client.get_schedule_handle(names.readiness_schedule(check_time))
            described = await schedule.describe()
            coming = described.info.next_action_times[0].astimezone(ZoneInfo("Asia/Kolkata"))
            assert f"{coming:%H:%M}" == check_time
            await schedule.trigger()
        await eventually(lambda: len({request.check_time for request in fakes.asked}) == 2, "both looks have begun")
