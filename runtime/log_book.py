"""Keeps warnings, errors and failed broker calls for the database, without ever making anybody wait.

A line goes into a short queue in memory, and a task of its own empties that queue. While Postgres is away the queue keeps the
newest lines, forgets the oldest, and says how many. The full log is on standard error as always.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError
from structlog.typing import EventDict, WrappedLogger

from brokers.calls import Call, CallOutcome
from storage.database import Database
from storage.ids import new_id
from storage.models import LogEntry, LogKind

_log = structlog.get_logger()

FLUSH_SECONDS = 2.0
MOST_WAITING = 2_000
MOST_AT_ONCE = 500
LONGEST_TEXT = 4_000
LONGEST_VALUE = 500
_LEVELS = frozenset({"warning", "error", "critical"})
_NOT_DATA = frozenset({"event", "level", "timestamp", "exception"})


class LogBook:
    """One per process. `process`: its name in the lines."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._waiting: deque[dict[str, Any]] = deque()
        self._forgotten = 0

    def keep_event(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """A structlog processor: notes warnings and worse, changes nothing."""
        if event.get("level") in _LEVELS:
            data = {key: value for key, value in event.items() if key not in _NOT_DATA and not key.startswith("_")}
            self._add(LogKind.ERROR, str(event["level"]), str(event.get("event", "")), str(event.get("exception", "")), data)
        return event

    def keep_call(self, call: Call) -> None:
        """Notes a call to a broker that did not succeed."""
        if call.outcome is CallOutcome.OK:
            return
        level = "warning" if call.outcome in (CallOutcome.REFUSED, CallOutcome.NOT_SENT) else "error"
        data = {
            "account_id": call.account_id,
            "server": call.server,
            "outcome": call.outcome.value,
            "status": call.status,
            "milliseconds": round(call.seconds * 1000),
        }
        self._add(LogKind.BROKER, level, f"{call.method} {call.path}", call.why, data)

    def _add(self, kind: LogKind, level: str, event: str, message: str, data: Mapping[str, Any]) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._forgotten += 1
        row = {
            "id": new_id(LogEntry.id_prefix),
            "kind": kind,
            "at": datetime.now(UTC),
            "process": self._process[:120],
            "level": level[:12],
            "event": _storable(event)[:80],
            "message": _storable(message)[-LONGEST_TEXT:],
            "data": _json(data),
        }
        self._waiting.append(row)

    async def run(self, database: Database) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush(database)
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                # Not a warning: it would be kept as well, and there is nobody to take it.
                _log.info("log_book_waits", error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 (supervised loop: one odd line must not end the keeping of all others)
                self._waiting.clear()
                _log.info("log_book_emptied", error=repr(error))

    async def flush(self, database: Database) -> int:
        """Write what waits; how many lines. What could not be written waits on."""
        written = 0
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(self._waiting)))]
            try:
                async with database.unhurried() as session:
                    await session.execute(insert(LogEntry), batch)
            except BaseException:
                self._waiting.extendleft(reversed(batch))
                raise
            written += len(batch)
        if self._forgotten:
            _log.info("log_lines_forgotten", count=self._forgotten)
            self._forgotten = 0
        return written


def _storable(text: str) -> str:
    """Postgres holds neither NUL nor halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _json(data: Mapping[str, Any]) -> dict[str, str | int | bool | None]:
    """Flat, and each value as a person would read it."""
    return {
        _storable(str(key))[:80]: value if isinstance(value, int | bool | None) else _storable(str(value))[:LONGEST_VALUE]
        for key, value in data.items()
    }
