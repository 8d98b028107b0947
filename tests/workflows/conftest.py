"""A day with a worker, a day with a worker that remembers nothing, and a day whose worker the test starts itself."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from tests.workflows.day import Day, open_day, settings_for


@pytest.fixture
async def day(temporal_client: Client, task_queue: str) -> AsyncIterator[Day]:
    async with open_day(temporal_client, settings_for(task_queue)) as made:
        yield made


@pytest.fixture
async def forgetful_day(temporal_client: Client, task_queue: str) -> AsyncIterator[Day]:
    """Every workflow task replays the whole history."""
    async with open_day(temporal_client, settings_for(task_queue, max_cached_workflows=0)) as made:
        yield made


@pytest.fixture
async def unattended_day(temporal_client: Client, task_queue: str) -> AsyncIterator[Day]:
    """No worker until the test starts one: what happens meanwhile is found in one workflow task."""
    async with open_day(temporal_client, settings_for(task_queue, max_cached_workflows=0), with_worker=False) as made:
        yield made
