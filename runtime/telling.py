"""Tells people of alarms: takes from the table what a target has not been told, tells it in one message, tries again.

Far from the order path: it reads committed rows and writes a table of its own. At least once: a message whose answer was lost is
sent again. Any number of processes may run it; each delivery is taken by one of them at a time. Each target has a task of its
own, so that one that hangs holds nobody else up.
"""

import asyncio
from collections.abc import Sequence

import structlog
from sqlalchemy.exc import SQLAlchemyError

from runtime.alarm_words import message_about
from runtime.messenger import Target
from storage.database import Database
from storage.repositories import alerts

_log = structlog.get_logger()

LOOK_SECONDS = 1.0
# After a message the next one gathers for this long: a storm is a handful of messages, its first alarm is told at once.
GATHER_SECONDS = 5.0
MOST_AT_ONCE = 500


class Teller:
    def __init__(self, database: Database, targets: Sequence[Target]) -> None:
        self._database = database
        self._targets = targets

    async def run(self) -> None:
        """For ever; without targets it has nothing to do."""
        async with asyncio.TaskGroup() as tasks:
            for target in self._targets:
                tasks.create_task(self._serve(target), name=f"tell {target.name}")

    async def _serve(self, target: Target) -> None:
        while True:
            told = 0
            try:
                told = await self.tell(target)
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                _log.warning("alarms_not_read", target=target.name, error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 (supervised loop: alarms must reach a person whatever one of them holds)
                _log.error("telling_broken", target=target.name, error=type(error).__name__)
            await asyncio.sleep(GATHER_SECONDS if told else LOOK_SECONDS)

    async def tell(self, target: Target) -> int:
        """One round: how many beginnings and ends the target was told, or could not be told now."""
        async with self._database.transaction() as session:
            await alerts.enlist(session, target=target.name, most=MOST_AT_ONCE)
        async with self._database.transaction() as session:
            due = await alerts.take(session, target=target.name, most=MOST_AT_ONCE)
        if not due:
            return 0
        if not await target.tell(message_about(due)):
            _log.warning("alarms_not_told", target=target.name, count=len(due))
            return len(due)
        async with self._database.transaction() as session:
            await alerts.mark_delivered(session, [told.delivery_id for told in due])
        _log.info("alarms_told", target=target.name, count=len(due))
        return len(due)
