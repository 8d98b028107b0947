"""Work that one process of all does at a time: rounds, for as long as it holds a database lock."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from temporalio.service import RPCError

from storage.database import Database

_log = structlog.get_logger()


async def rounds_for_ever(
    database: Database,
    lock: int,
    one_round: Callable[[], Awaitable[None]],
    *,
    name: str,
    pause_seconds: float,
    silence_seconds: float,
    begin: Callable[[], None] = lambda: None,
    wait_seconds: float | None = None,
) -> None:
    """Whenever the lock is free: rounds until something fails, and then from the beginning (`begin`), for as long as the process
    lives. A store or Temporal that is away is waited for; `name` is how the log calls this work. `wait_seconds`: until the lock
    is asked for again, where that is not the pause between rounds."""
    while True:
        try:
            begin()
            await rounds_while_locked(database, lock, one_round, pause_seconds=pause_seconds, silence_seconds=silence_seconds)
        except (SQLAlchemyError, RPCError, OSError, TimeoutError) as error:
            _log.info("rounds_wait", of=name, error=type(error).__name__)
        except Exception as error:  # noqa: BLE001 (supervised loop: it must go on whatever one round has met)
            _log.error("rounds_broken", of=name, error=repr(error), exc_info=True)
        await asyncio.sleep(pause_seconds if wait_seconds is None else wait_seconds)


async def rounds_while_locked(
    database: Database,
    lock: int,
    one_round: Callable[[], Awaitable[None]],
    *,
    pause_seconds: float,
    silence_seconds: float,
) -> None:
    """Returns at once when another process holds the lock. Raises what the database or a round raises.

    The lock lives and dies with its connection. A process that dies loses it at once; one that hangs (stopped, out of memory, in
    a loop) keeps its connections, so the server ends this one when nothing was heard on it for `silence_seconds`. A round that
    takes longer loses the lock as well: two that do rounds at once must do no harm.
    """
    async with database.engine.connect() as connection:
        autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
        locked = (await autocommit.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": lock})).scalar_one()
        if not locked:
            return
        try:
            await autocommit.execute(text(f"SET idle_session_timeout = {int(silence_seconds * 1000)}"))
            while True:
                await autocommit.execute(text("SELECT 1"))
                await one_round()
                await asyncio.sleep(pause_seconds)
        finally:
            # Closed, not given back: the pool would hand out a connection that the server ends when it is silent.
            await connection.invalidate()
