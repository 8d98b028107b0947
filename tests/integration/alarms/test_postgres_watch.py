"""Postgres that is gone is told without Postgres, once per target, and written down when it is back."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from runtime.alarm_words import Message
from runtime.postgres_watch import AGAIN_SECONDS, GONE_SECONDS, PostgresWatch
from runtime.telling import Teller
from storage.database import Database
from storage.models import Alert
from tests.api.fakes import HeldClock
from tests.integration.storage.rows import Rows


@dataclass
class Mouth:
    """A target in memory."""

    name: str
    takes: bool = True
    heard: list[str] = field(default_factory=list)

    async def tell(self, message: Message) -> bool:
        if self.takes:
            self.heard.append(message.title)
        return self.takes


class Switched:
    """A database that can be away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.away = False

    def transaction(self) -> Any:
        if self.away:
            raise OSError("connection refused")
        return self._database.transaction()


async def test_an_outage_is_told_once_and_its_end_and_history_come_from_the_row(database: Database) -> None:
    clock, mouth, busy = HeldClock(await Rows(database).clock()), Mouth("one"), Mouth("two", takes=False)
    switched: Any = Switched(database)
    watch = PostgresWatch(database=switched, targets=[mouth, busy], clock=clock, process="api-1")
    await watch.look()
    switched.away = True
    await watch.look()
    assert mouth.heard == []
    for _ in range(3):
        clock.advance(seconds=GONE_SECONDS)
        await watch.look()
    assert mouth.heard == ["Critical: Postgres does not answer"]
    switched.away = False
    await watch.look()
    async with database.transaction() as session:
        alert = (await session.scalars(select(Alert))).one()
    assert (alert.kind, alert.cleared_at is not None, "api-1" in alert.message) == ("postgres_down", True, True)
    busy.takes = True
    for target in (mouth, busy):
        assert await Teller(database, []).tell(target) == 1
    assert mouth.heard[1:] == ["Over: Postgres does not answer"]
    assert busy.heard == ["Critical: Postgres does not answer"], "who was told of nothing is told of it now"


async def test_a_target_that_was_busy_is_asked_again_while_the_outage_lasts(database: Database) -> None:
    clock, busy = HeldClock(await Rows(database).clock()), Mouth("one", takes=False)
    switched: Any = Switched(database)
    watch = PostgresWatch(database=switched, targets=[busy], clock=clock, process="api-1")
    switched.away = True
    await watch.look()
    clock.advance(seconds=GONE_SECONDS)
    await watch.look()
    busy.takes = True
    await watch.look()
    assert busy.heard == []
    clock.advance(seconds=AGAIN_SECONDS)
    await watch.look()
    assert busy.heard == ["Critical: Postgres does not answer"]


async def test_a_blink_is_neither_told_nor_written_down(database: Database) -> None:
    clock, mouth = HeldClock(await Rows(database).clock()), Mouth("one")
    switched: Any = Switched(database)
    watch = PostgresWatch(database=switched, targets=[mouth], clock=clock, process="api-1")
    switched.away = True
    await watch.look()
    clock.advance(seconds=GONE_SECONDS - 1)
    switched.away = False
    await watch.look()
    async with database.transaction() as session:
        assert (mouth.heard, (await session.scalars(select(Alert))).all()) == ([], [])
