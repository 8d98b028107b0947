"""One active listener: a session-level advisory lock in Postgres, on a connection of its own.

Losing the connection means not knowing whether the lock is still ours. From that moment nothing is published; the feed stays
connected and crossings are kept, so that a short absence of Postgres costs nothing. When the connection is back the lock is
taken again, or another listener has it by then and this one becomes the standby. Two active listeners would do no harm to
anyone's shares (a trigger is idempotent); the lock keeps the brokers' connection limits and the load where they belong.
"""

import asyncio
from enum import Enum

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from listener.complaints import Complaints
from storage.database import Database
from storage.locks import LISTENER_LOCK

TRY_SECONDS = 0.5
ANSWER_SECONDS = 1.0
HUNG_SECONDS = 5.0
_log = structlog.get_logger()


class Standing(Enum):
    STANDBY = "standby"
    ACTIVE = "active"
    # Was active, and cannot tell whether it still is.
    UNSURE = "unsure"


class Superseded(Exception):
    """Another listener is the active one now."""


class Leadership:
    def __init__(self, database: Database, complaints: Complaints) -> None:
        self._database = database
        self._complaints = complaints
        self._connection: AsyncConnection | None = None
        self.standing = Standing.STANDBY

    @property
    def is_active(self) -> bool:
        """Ask right before anything is published."""
        return self.standing is Standing.ACTIVE

    async def acquire(self) -> None:
        """Waits until this listener is the active one."""
        while not await self._try():  # noqa: ASYNC110 (the lock is in another process: there is no event to wait for)
            await asyncio.sleep(TRY_SECONDS)
        _log.info("listener_active")

    async def keep(self) -> None:
        """Watches the lock for ever. Raises Superseded once another listener has it."""
        while True:
            await asyncio.sleep(TRY_SECONDS)
            if await self._still_connected():
                continue
            if self.is_active:
                _log.error("listener_lock_in_doubt")
                self.standing = Standing.UNSURE
            taken = await self._try()
            if taken:
                _log.info("listener_lock_taken_again")
            elif self._connection is not None:
                await self.release()
                raise Superseded("another listener has taken over")

    async def release(self) -> None:
        """Gives the lock up by closing its connection."""
        self.standing = Standing.STANDBY
        await self._drop()

    async def _try(self) -> bool:
        """False with a connection: somebody else has the lock. False without: Postgres does not answer."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if self._connection is None:
                    self._connection = await self._connect()
                found = await self._connection.execute(text(f"SELECT pg_try_advisory_lock({LISTENER_LOCK})"))
                taken = bool(found.scalar_one())
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            self._complaints.about("listener_lock_unreachable", error=type(error).__name__)
            await self._drop()
            return False
        self._complaints.over("listener_lock_unreachable")
        if taken:
            self.standing = Standing.ACTIVE
        return taken

    async def _connect(self) -> AsyncConnection:
        connection = await self._database.engine.connect()
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        # A listener whose machine vanished must not keep the lock: the server looks after two seconds of silence, twice. Nor one
        # that hangs: its machine still answers, so the server ends the connection when nothing was asked on it for a while.
        settings = {"tcp_keepalives_idle": 1, "tcp_keepalives_interval": 1, "tcp_keepalives_count": 2}
        for name, value in {**settings, "idle_session_timeout": int(HUNG_SECONDS * 1000)}.items():
            await connection.execute(text(f"SET {name} = {value}"))
        return connection

    async def _still_connected(self) -> bool:
        if self._connection is None:
            return False
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError, TimeoutError):
            await self._drop()
            return False
        return True

    async def _drop(self) -> None:
        """The connection is closed, not given back to the pool: the lock lives and dies with it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await connection.invalidate()
                await connection.close()
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            self._complaints.about("listener_lock_connection_broken", error=type(error).__name__)
