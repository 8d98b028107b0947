"""Tells people that Postgres is gone, without Postgres: straight to the targets, by every process that notices.

When it is back the outage is written down as an alarm that is over, so that the list of alarms has no hole.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from execution.alarm_kinds import kind_of
from runtime.alarm_words import message_about
from runtime.messenger import Target
from storage.database import Database
from storage.models import Alert, AlertDelivery, AlertEvent
from storage.repositories.alerts import ToTell
from trading.ports.clock import Clock

_log = structlog.get_logger()

LOOK_SECONDS = 2.0
ANSWER_SECONDS = 3.0
GONE_SECONDS = 8.0
# A target that did not take the message is asked again after this long, for as long as the outage lasts.
AGAIN_SECONDS = 60.0
KIND = "postgres_down"


class PostgresWatch:
    """`process`: its name in the message; several may tell of the same outage."""

    def __init__(self, *, database: Database, targets: Sequence[Target], clock: Clock, process: str) -> None:
        self._database = database
        self._targets = targets
        self._clock = clock
        self._process = process
        self._gone_since: datetime | None = None
        self._missed_at = 0.0
        self._told: set[str] = set()
        self._tried_at: dict[str, float] = {}

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 (supervised loop: the gravest outage must be told whatever happens here)
                _log.error("postgres_watch_broken", error=repr(error), exc_info=True)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """One look; tells what has to be told."""
        began_at, began = self._clock.now(), self._clock.monotonic()
        if await self._answers():
            if self._gone_since is not None:
                await self._note_return(self._gone_since)
            return
        now = self._clock.monotonic()
        if self._gone_since is None:
            self._gone_since, self._missed_at = began_at, began
        if now - self._missed_at >= GONE_SECONDS:
            await self._tell(self._alert(self._gone_since), now)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._database.transaction() as session:
                await session.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError, TimeoutError):
            return False
        return True

    def _alert(self, since: datetime) -> Alert:
        message = f"{self._process} has no answer: no new order leaves, the API answers 503"
        return Alert(
            key=f"postgres:{self._process}", kind=KIND, severity=kind_of(KIND).severity, message=message, raised_at=since
        )

    async def _tell(self, alert: Alert, now: float) -> None:
        waiting = [
            target
            for target in self._targets
            if target.name not in self._told and now - self._tried_at.get(target.name, -AGAIN_SECONDS) >= AGAIN_SECONDS
        ]
        self._tried_at |= {target.name: now for target in waiting}
        message = message_about([ToTell("", AlertEvent.RAISED, alert)])
        taken = await asyncio.gather(*(target.tell(message) for target in waiting))
        self._told |= {target.name for target, ok in zip(waiting, taken, strict=True) if ok}

    async def _note_return(self, since: datetime) -> None:
        """A blink is forgotten. Who was told of the beginning is told of the end, from the row, like of any other alarm."""
        if self._clock.monotonic() - self._missed_at >= GONE_SECONDS:
            alert = self._alert(since)
            alert.cleared_at = self._clock.now()
            async with self._database.transaction() as session:
                session.add(alert)
                await session.flush()
                now = self._clock.now()
                for name in sorted(self._told):
                    session.add(
                        AlertDelivery(alert_id=alert.id, event=AlertEvent.RAISED, target=name, attempts=1, delivered_at=now)
                    )
        self._gone_since, self._told, self._tried_at = None, set(), {}
