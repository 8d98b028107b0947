import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from storage import migrate
from storage.database import Database
from storage.models import Base
from storage.repositories import audit, audit_chain
from trading.orders import LIVE_STATES
from trading.runs import RunState

VERSIONS = Path(migrate.__file__).parent / "migrations" / "versions"


async def query(url: str, statement: str) -> list[str]:
    """First column of the answer, sorted."""
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            result = await connection.execute(text(statement))
            return sorted(str(row[0]) for row in result) if result.returns_rows else []
    finally:
        await engine.dispose()


async def tables(url: str) -> list[str]:
    return await query(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")


async def everything(url: str) -> list[str]:
    """Tables, indexes, sequences, views, types and functions of ours."""
    relations = "SELECT relkind::text || ' ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    types = "SELECT 'type ' || typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')"
    functions = "SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    return await query(url, f"{relations} UNION ALL {types} UNION ALL {functions}")


async def test_a_schema_is_made_removed_without_trace_and_made_again(empty_database_url: str) -> None:
    assert await everything(empty_database_url) == []
    await migrate.upgrade(empty_database_url)
    made = await everything(empty_database_url)
    assert await tables(empty_database_url) == sorted([*Base.metadata.tables, "alembic_version"])

    await migrate.downgrade(empty_database_url, "base")
    assert await tables(empty_database_url) == ["alembic_version"]
    assert [name for name in await everything(empty_database_url) if "alembic_version" not in name] == []

    await migrate.upgrade(empty_database_url)
    assert await everything(empty_database_url) == made


async def test_models_and_migrations_agree(empty_database_url: str) -> None:
    await migrate.upgrade(empty_database_url)
    await migrate.check(empty_database_url)


async def test_a_column_no_migration_made_is_noticed(empty_database_url: str) -> None:
    await migrate.upgrade(empty_database_url)
    await query(empty_database_url, "ALTER TABLE orders DROP COLUMN late_ms")
    with pytest.raises(CommandError, match="late_ms"):
        await migrate.check(empty_database_url)


async def test_a_missing_partial_index_is_noticed(empty_database_url: str) -> None:
    await migrate.upgrade(empty_database_url)
    await query(empty_database_url, "DROP INDEX uq_orders_one_live")
    with pytest.raises(CommandError, match="uq_orders_one_live"):
        await migrate.check(empty_database_url)


async def test_an_empty_database_is_not_up_to_date(empty_database_url: str) -> None:
    with pytest.raises(CommandError):
        await migrate.check(empty_database_url)


async def test_upgrading_twice_changes_nothing(empty_database_url: str) -> None:
    await migrate.upgrade(empty_database_url)
    made = await everything(empty_database_url)
    await migrate.upgrade(empty_database_url)
    assert await everything(empty_database_url) == made


async def test_processes_that_start_together_migrate_one_after_the_other(empty_database_url: str) -> None:
    await asyncio.gather(*(migrate.upgrade(empty_database_url) for _ in range(4)))
    await migrate.check(empty_database_url)
    assert await query(empty_database_url, "SELECT count(*) FROM alembic_version") == ["1"]


async def test_every_revision_can_be_taken_back_alone(empty_database_url: str) -> None:
    for _ in VERSIONS.glob("[0-9]*.py"):
        await migrate.upgrade(empty_database_url, "+1")
        before = await everything(empty_database_url)
        await migrate.downgrade(empty_database_url, "-1")
        await migrate.upgrade(empty_database_url, "+1")
        assert await everything(empty_database_url) == before
    await migrate.check(empty_database_url)


async def test_the_chain_of_the_audit_log_survives_a_migration_there_and_back(empty_database_url: str) -> None:
    """Entries were once chained while they were written, and are chained afterwards now: the same chain goes on."""
    await migrate.upgrade(empty_database_url)
    async with Database(empty_database_url) as database:
        await _note(database, "one", "two")
        await audit_chain.seal_all(database)
        await _note(database, "three")
        sealed = (await audit_chain.check(database)).head
    await migrate.downgrade(empty_database_url, "0008-1")
    unchained = "SELECT count(*) FROM audit_log WHERE sequence IS NULL OR hash IS NULL"
    assert await query(empty_database_url, unchained) == ["0"]
    await migrate.upgrade(empty_database_url)
    async with Database(empty_database_url) as database:
        await _note(database, "four")
        await audit_chain.seal_all(database)
        chain = await audit_chain.check(database, noted=sealed)
    assert (chain.broken_at, chain.head.sequence, chain.unsealed) == (None, 4, 0)


async def _note(database: Database, *actions: str) -> None:
    async with database.transaction() as session:
        for action in actions:
            await audit.append(session, actor_id=None, action=action, subject_id=None, now=datetime.now(UTC), why="₹")


async def test_the_definitions_of_the_partial_indexes_are_what_the_models_say(empty_database_url: str) -> None:
    """Alembic compares that an index exists, not under which condition it holds."""
    await migrate.upgrade(empty_database_url)
    partial = "SELECT indexname || ': ' || split_part(indexdef, ' WHERE ', 2) FROM pg_indexes WHERE indexdef LIKE '% WHERE %'"
    found = {name: quoted(where) for name, where in (line.split(": ", 1) for line in await query(empty_database_url, partial))}
    wanted = {
        str(index.name): quoted(str(index.dialect_options["postgresql"]["where"]))
        for table in Base.metadata.tables.values()
        for index in table.indexes
        if index.dialect_options["postgresql"]["where"] is not None
    }
    assert found == wanted
    assert found["uq_orders_one_live"] == {state.value for state in LIVE_STATES}
    assert found["uq_runs_one_open"] == {RunState.ENDED.value}


def quoted(condition: str) -> set[str]:
    """The words in quotation marks; Postgres writes the rest of a condition in its own way."""
    return set(re.findall(r"'(\w+)'", condition))
