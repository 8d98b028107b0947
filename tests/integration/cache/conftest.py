"""A client of the test run's Redis, and one of a Redis that is not there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from cache.connection import connect
from storage.database import Database


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(redis_url) as client:
        yield client


@pytest.fixture
async def absent_redis(tmp_path: Path) -> AsyncIterator[Redis]:
    async with connect(f"unix://{tmp_path / 'nobody.sock'}") as client:
        yield client


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url) as opened:
        yield opened
