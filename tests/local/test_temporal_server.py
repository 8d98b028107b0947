"""The embedded Temporal server as tests get it."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.testing import TimeSkipper
from temporalio.worker import Worker


@workflow.defn
class SleepsFiveHours:
    @workflow.run
    async def run(self) -> str:
        before = workflow.now()
        await workflow.sleep(timedelta(hours=5))
        return str(workflow.now() - before >= timedelta(hours=5))


async def test_a_five_hour_sleep_is_skipped(temporal_client: Client, task_queue: str) -> None:
    skipper = TimeSkipper(temporal_client)
    async with Worker(temporal_client, task_queue=task_queue, workflows=[SleepsFiveHours]):
        handle = await skipper.client.start_workflow(SleepsFiveHours.run, id=task_queue, task_queue=task_queue)
        assert await asyncio.wait_for(handle.result(), 30) == "True"


async def test_runs_are_found_by_our_search_attributes(temporal_client: Client, task_queue: str) -> None:
    owner = SearchAttributePair(SearchAttributeKey.for_keyword("StrategyId"), task_queue)
    await temporal_client.start_workflow(
        SleepsFiveHours.run, id=task_queue, task_queue=task_queue, search_attributes=TypedSearchAttributes([owner])
    )
    async with asyncio.timeout(30):
        while not [run async for run in temporal_client.list_workflows(f"StrategyId = '{task_queue}'")]:
            await asyncio.sleep(0.02)
