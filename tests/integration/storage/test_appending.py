"""Appended lines leave at the end of their transaction, in order, after what they are about, and not at all if it fails."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from execution.timeline import tell
from storage.database import Database
from storage.models import Run, RunEvent
from tests.integration.storage.rows import NOW, Rows, unsaved_run


async def lines(database: Database) -> list[RunEvent]:
    async with database.transaction() as session:
        return list(await session.scalars(select(RunEvent).order_by(RunEvent.sequence)))


async def unsaved(database: Database) -> Run:
    rows = Rows(database)
    account = await rows.account()
    return unsaved_run(account, await rows.strategy(account))


async def test_lines_keep_their_order_and_their_own_times(database: Database) -> None:
    run = await unsaved(database)
    async with database.transaction() as session:
        session.add(run)
        for number in range(5):
            tell(session, run, f"line_{number}", "words", at=NOW if number == 3 else None)
    written = await lines(database)
    assert [line.kind for line in written] == [f"line_{number}" for number in range(5)]
    assert written[3].at == NOW
    assert all(line.at > NOW + timedelta(hours=1) or line is written[3] for line in written)
    assert {(line.status, line.run_id, len(line.id)) for line in written} == {("active", run.id, len(written[0].id))}


async def test_lines_of_a_transaction_that_fails_are_never_seen(database: Database) -> None:
    run = await unsaved(database)

    async def fail() -> None:
        async with database.transaction() as session:
            session.add(run)
            tell(session, run, "lost", "words")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await lines(database) == []
