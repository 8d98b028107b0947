"""Single statements: values by name, errors as a session's, and connections that outlive what happens to them."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import bindparam, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from storage.database import SINGLE_STATEMENTS, Database
from storage.models import User
from storage.single import SingleStatement

_BACKEND = SingleStatement(text("SELECT pg_backend_pid() AS pid"))
_SLEEP = SingleStatement(text("SELECT pg_sleep(:seconds)"))
_DIVIDE = SingleStatement(text("SELECT 1 / CAST(:by AS int) AS result"))


async def backend(database: Database) -> int:
    return int((await database.fetch(_BACKEND, {}))[0]["pid"])


async def add_user(database: Database, email: str) -> None:
    async with database.transaction() as session:
        session.add(User(email=email, password_hash="-"))


async def test_values_are_given_by_name_wherever_the_text_has_them(database: Database) -> None:
    statement = SingleStatement(
        text(
            "SELECT CAST(:late AS timestamptz) - CAST(:by AS interval) AS at, CAST(:price AS numeric) AS price, :price > 1 AS ok"
        )
    )
    late = datetime(2026, 1, 5, 9, 15, tzinfo=UTC)
    (row,) = await database.fetch(statement, {"price": Decimal("2.50"), "by": timedelta(minutes=5), "late": late})
    assert (row["at"], row["price"], row["ok"]) == (late - timedelta(minutes=5), Decimal("2.50"), True)


async def test_what_a_statement_says_itself_is_kept_beside_what_it_asks_for(database: Database) -> None:
    await add_user(database, "alice@example.org")
    await add_user(database, "bob@example.org")
    named = select(User.email).where(User.email == bindparam("email"), User.password_hash == "-", User.name != "nobody")
    rows = await database.fetch(SingleStatement(named), {"email": "bob@example.org"})
    assert [row["email"] for row in rows] == ["bob@example.org"]


@pytest.mark.parametrize("values", [{}, {"seconds": 0, "minutes": 0}, {"minutes": 0}])
async def test_a_value_that_lacks_or_is_not_asked_for_is_refused(database: Database, values: dict[str, int]) -> None:
    with pytest.raises(KeyError, match="seconds"):
        await database.fetch(_SLEEP, values)


async def test_what_it_writes_is_committed(database: Database) -> None:
    await add_user(database, "alice@example.org")
    await database.fetch(SingleStatement(text("UPDATE users SET name = :name")), {"name": "Alice"})
    async with database.transaction() as session:
        assert await session.scalar(select(User.name)) == "Alice"


async def test_a_statement_that_fails_says_so_as_a_session_would_and_harms_no_later_one(database: Database) -> None:
    with pytest.raises(DBAPIError, match="division by zero") as failed:
        await database.fetch(_DIVIDE, {"by": 0})
    assert not failed.value.connection_invalidated
    assert (await database.fetch(_DIVIDE, {"by": 1}))[0]["result"] == 1


async def test_the_same_connection_is_used_again(database: Database) -> None:
    assert await backend(database) == await backend(database)


async def test_a_crowd_waits_for_few_connections(database: Database) -> None:
    seen = await asyncio.gather(*(backend(database) for _ in range(10 * SINGLE_STATEMENTS)))
    assert len(set(seen)) <= SINGLE_STATEMENTS


async def test_a_connection_that_was_ended_while_it_rested_is_noticed_before_it_is_asked(database: Database) -> None:
    ended = await backend(database)
    async with database.transaction() as session:
        await session.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": ended})
    assert await backend(database) != ended


async def test_a_connection_that_is_ended_under_a_statement_is_lost_and_replaced(database: Database) -> None:
    ended = await backend(database)
    sleeping = asyncio.create_task(database.fetch(_SLEEP, {"seconds": 30}))
    async with database.transaction() as session:
        while not await session.scalar(text("SELECT state = 'active' FROM pg_stat_activity WHERE pid = :pid"), {"pid": ended}):
            await asyncio.sleep(0.01)
        await session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": ended})
    with pytest.raises((SQLAlchemyError, OSError)):
        await sleeping
    assert await backend(database) != ended


async def test_a_statement_that_is_given_up_leaves_its_connection_to_the_next(database: Database) -> None:
    for _ in range(2 * SINGLE_STATEMENTS):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await database.fetch(_SLEEP, {"seconds": 30})
    assert await backend(database)


async def test_a_server_that_does_not_answer_is_given_up(database: Database) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    async with Database(url, pool_size=1, answer_seconds=0.3) as impatient:
        with pytest.raises(TimeoutError):
            await impatient.fetch(_SLEEP, {"seconds": 30})
        assert await backend(impatient)


async def test_a_server_that_is_away_is_an_error_of_the_network_and_the_next_call_asks_again() -> None:
    async with Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", pool_size=1) as away:
        for _ in range(2):
            with pytest.raises(OSError, match="Connect"):
                await backend(away)


async def test_a_process_holds_no_more_connections_than_it_may(database: Database) -> None:
    url = database.engine.url.render_as_string(hide_password=False)

    async def read_twice(crowded: Database) -> None:
        async with crowded.transaction() as session:
            await session.execute(text("SELECT pg_sleep(0.05)"))
        await crowded.fetch(_SLEEP, {"seconds": 0.05})

    async with Database(url, pool_size=8, name="crowded") as crowded:
        await asyncio.gather(*(read_twice(crowded) for _ in range(24)))
        async with database.transaction() as session:
            held = await session.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crowded'"))
    assert held == 8
