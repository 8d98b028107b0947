import asyncio

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from storage.database import Database
from storage.models import User
from tests.integration.storage.rows import Rows
from trading.orders import Leg


async def emails(database: Database) -> list[str]:
    async with database.transaction() as session:
        return list(await session.scalars(select(User.email).order_by(User.email)))


def a_user(email: str) -> User:
    return User(email=email, password_hash="-")


async def test_a_transaction_is_committed_at_its_end(database: Database) -> None:
    async with database.transaction() as session:
        session.add(a_user("alice@example.org"))
    assert await emails(database) == ["alice@example.org"]


async def test_a_transaction_that_fails_leaves_nothing_behind(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as session:
            session.add(a_user("alice@example.org"))
            await session.flush()
            assert await session.scalar(select(func.count()).select_from(User)) == 1
            raise LookupError("something else went wrong")

    with pytest.raises(LookupError):
        await fail()
    assert await emails(database) == []


async def test_a_transaction_that_is_cancelled_leaves_nothing_behind(database: Database) -> None:
    written = asyncio.Event()

    async def wait_for_ever() -> None:
        async with database.transaction() as session:
            session.add(a_user("alice@example.org"))
            await session.flush()
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait_for_ever())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await emails(database) == []


async def test_nobody_sees_what_is_not_committed(database: Database) -> None:
    async with database.transaction() as session:
        session.add(a_user("alice@example.org"))
        await session.flush()
        assert await emails(database) == []


async def test_rows_can_be_read_after_their_transaction(database: Database) -> None:
    user = a_user("alice@example.org")
    async with database.transaction() as session:
        session.add(user)
    assert user.email == "alice@example.org"


async def test_a_savepoint_that_fails_keeps_the_rest(database: Database) -> None:
    async with database.transaction() as session:
        session.add(a_user("alice@example.org"))
        await session.flush()
        with pytest.raises(DBAPIError):
            async with session.begin_nested():
                session.add(a_user("ALICE@example.org"))
        session.add(a_user("bob@example.org"))
    assert await emails(database) == ["alice@example.org", "bob@example.org"]


async def test_sessions_speak_utc_and_end_what_is_stuck(database: Database) -> None:
    async with database.transaction() as session:
        shown = {
            name: (await session.execute(text(f"SELECT current_setting('{name}')"))).scalar_one()
            for name in ("timezone", "statement_timeout", "idle_in_transaction_session_timeout")
        }
    assert shown["timezone"] == "UTC"
    assert "0" not in shown.values()


async def test_a_state_nobody_knows_is_never_guessed(database: Database) -> None:
    """Columns of words hold what the code knows; a word from elsewhere raises where it is read."""
    rows = Rows(database)
    order = await rows.order(await rows.run(await rows.account()), Leg.ENTRY)
    async with database.transaction() as session:
        await session.execute(text("UPDATE orders SET state = 'resting' WHERE id = :id"), {"id": order.id})
    with pytest.raises(LookupError, match="resting"):
        await rows.fresh(order)
