"""The alarms of one account's desk. Remembers which are up, so that what is quiet costs no query.

Nothing here raises for a database that is away: following orders must not end because an alarm could not be written. What was
not written is tried again at the next occasion.
"""

from collections.abc import Awaitable, Callable, Set

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from execution.alarms import Alarm, clear_alarm, doubt_alarm, raise_alarm
from execution.look import LookResult
from storage.database import Database
from storage.models import BrokerAccount

_log = structlog.get_logger()


class DeskAlarms:
    """`up`: keys that are open in the table when the desk is taken."""

    def __init__(self, account: BrokerAccount, *, database: Database, up: Set[str]) -> None:
        self._user_id = account.user_id
        self._account_id = account.id
        self._broker = account.broker.value
        self._database = database
        self._up = set(up)

    async def session_ended(self) -> None:
        link = f"GET /api/v1/broker/{self._account_id}/login-url"
        message = f"The {self._broker} login has ended: log in again ({link}), exits wait for it"
        await self._raise(self._session_key, "token_expired", message)

    async def session_renewed(self) -> None:
        await self._clear(self._session_key)

    async def exit_refused(self, run_id: str, words: str) -> None:
        message = f"An exit was refused by the broker and is tried again: {words}"
        await self._raise(f"exit-refused:{run_id}", "run_needs_person", message, run_id=run_id)

    async def backup_refused(self, run_id: str, words: str) -> None:
        await self.exit_refused(run_id, f"the backup stop could not be made the exit: {words}")

    async def exit_taken(self, run_id: str) -> None:
        await self._clear(f"exit-refused:{run_id}")

    async def broker(self, trouble: str | None, *, is_well: bool) -> None:
        """Neither in trouble nor proven well: left as it is."""
        key = f"broker-down:{self._account_id}"
        if trouble is not None:
            await self._raise(key, "broker_down", f"{self._broker} cannot be worked with: {trouble}; everything is tried again")
        elif is_well:
            await self._clear(key)

    async def looked(self, result: LookResult) -> None:
        """What a look at the book has to say of doubts and of the login."""
        for order_id, run_id in result.long_in_doubt:
            await self._put_up(doubt_alarm(order_id, run_id, user_id=self._user_id, account_id=self._account_id))
        for order_id in result.doubt_ended:
            await self._clear(f"in-doubt:{order_id}")
        for run_id, words in result.never_exits:
            await self.backup_refused(run_id, words)
        if result.looked:
            await self._clear(self._session_key)

    @property
    def _session_key(self) -> str:
        return f"token-expired:{self._account_id}"

    async def _raise(self, key: str, kind: str, message: str, *, run_id: str | None = None) -> None:
        await self._put_up(Alarm(key, kind, message, user_id=self._user_id, account_id=self._account_id, run_id=run_id))

    async def _put_up(self, alarm: Alarm) -> None:
        if alarm.key not in self._up and await self._write(lambda session: raise_alarm(session, alarm), alarm.key):
            self._up.add(alarm.key)

    async def _clear(self, key: str) -> None:
        if key in self._up and await self._write(lambda session: clear_alarm(session, key), key):
            self._up.discard(key)

    async def _write(self, work: Callable[[AsyncSession], Awaitable[bool]], key: str) -> bool:
        try:
            async with self._database.transaction() as session:
                await work(session)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _log.warning("alarm_not_written", key=key, error=type(error).__name__)
            return False
        return True
