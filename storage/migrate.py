"""Migrations, run from code: no alembic.ini, no working directory that matters."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

# Two processes that start together must not migrate together; any constant will do.
_MIGRATION_LOCK = 7_203_114_551


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _locked(connection: Connection) -> None:
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")


async def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring the schema to that revision; does nothing when it is there already."""

    def run(connection: Connection) -> None:
        _locked(connection)
        command.upgrade(_config(connection), revision)

    await _run(database_url, run)


async def downgrade(database_url: str, revision: str) -> None:
    """Take the schema back to that revision (`base` removes everything)."""

    def run(connection: Connection) -> None:
        _locked(connection)
        command.downgrade(_config(connection), revision)

    await _run(database_url, run)


async def make_revision(database_url: str, message: str) -> None:
    """Write a new migration with what the models have and the database has not."""

    def run(connection: Connection) -> None:
        command.revision(_config(connection), message, autogenerate=True)

    await _run(database_url, run)


async def check(database_url: str) -> None:
    """Raises alembic's CommandError when the models have moved on and no migration says so."""

    def run(connection: Connection) -> None:
        command.check(_config(connection))

    await _run(database_url, run)


async def _run(database_url: str, work: Callable[[Connection], None]) -> None:
    engine = create_async_engine(database_url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(work)
    finally:
        await engine.dispose()
