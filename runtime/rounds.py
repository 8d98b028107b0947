"""Work that one process of all does at a time: rounds, for as long as it holds a database lock."""

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy import text

from storage.database import Database


async def rounds_while_locked(
    database: Database, lock: int, one_round: Callable[[], Awaitable[None]], *, pause_seconds: float
) -> None:
    """Returns at once when another process holds the lock. Raises what the database or a round raises.

    The lock lives as long as its connection: a process that dies or hangs loses it.
    """
    async with database.engine.connect() as connection:
        autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
        locked = (await autocommit.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": lock})).scalar_one()
        if not locked:
            return
        try:
            while True:
                await autocommit.execute(text("SELECT 1"))
                await one_round()
                await asyncio.sleep(pause_seconds)
        finally:
            await autocommit.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": lock})
