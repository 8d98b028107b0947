"""The trading world of a test, in both ways of sending: with the desk's head start, and by the workflow's activities alone."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from tests.integration.trading.world import World, trading_world


@pytest.fixture(params=[True, False], ids=["head-start", "signals-only"])
async def world(
    request: pytest.FixtureRequest, database_url: str, redis_url: str, temporal_client: Client, task_queue: str
) -> AsyncIterator[World]:
    async with trading_world(
        database_url=database_url,
        redis_url=redis_url,
        client=temporal_client,
        task_queue=task_queue,
        desk_head_start=request.param,
    ) as made:
        yield made
