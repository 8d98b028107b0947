from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from cache.connection import connect
from simulator.testing import RunningSimulator, running_simulator
from storage.database import Database
from tests.listener.world import World, make_world


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(redis_url) as client:
        yield client


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url) as opened:
        yield opened


@pytest.fixture
async def sim() -> AsyncIterator[RunningSimulator]:
    async with running_simulator() as running:
        yield running


@pytest.fixture
async def world(database: Database, redis: Redis, sim: RunningSimulator) -> AsyncIterator[World]:
    async with make_world(database, redis, sim) as made:
        yield made
