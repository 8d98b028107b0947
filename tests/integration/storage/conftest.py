"""A migrated database, and one with nothing in it at all."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from local.parts.postgres import database_url as url_of_database
from storage.database import Database
from tests.databases import drop_database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url) as opened:
        yield opened


@pytest.fixture
async def empty_database_url(postgres_sockets: Path) -> AsyncIterator[str]:
    """URL of a database no migration has seen."""
    name = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(host=str(postgres_sockets), user="postgres", database="postgres")
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    finally:
        await connection.close()
    yield url_of_database(postgres_sockets, database=name)
    await drop_database(postgres_sockets, name)
