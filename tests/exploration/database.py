"""One database for a module of tests: its clock is the test's, and one transaction at a time is under way.

Production code asks the database what time it is. A schema before `pg_catalog` on the search path holds a `clock_timestamp()` of
its own, which says what the world of the test says. Whose transaction comes next is drawn, so that each order is tried and every
example can be repeated.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.database import Database
from storage.single import Row, SingleStatement
from tests.exploration.processes import Life, Process, uncounted

_CLOCK = """
    CREATE SCHEMA exploration;
    CREATE FUNCTION exploration.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
        AS $$ SELECT current_setting('exploration.now')::timestamptz $$;
    ALTER DATABASE "{name}" SET search_path = exploration, pg_catalog, public;
    -- The server outlives every example: what a crash of it would lose is not asked here.
    ALTER DATABASE "{name}" SET synchronous_commit = off;
"""
_SET_CLOCK = text("SELECT set_config('exploration.now', :now, true)")


async def give_clock(sockets: Path, name: str) -> None:
    """From the next connection on the database's clock is the one its transactions bring along."""
    connection = await asyncpg.connect(host=str(sockets), user="postgres", database=name)
    try:
        await connection.execute(_CLOCK.format(name=name))
    finally:
        await connection.close()


@dataclass(eq=False)
class _Turn:
    process: Process | None
    granted: "asyncio.Future[None]"
    connection: Any = None


class Turns:
    """Who may have a transaction now. Those who are dead or frozen do not wait."""

    def __init__(self) -> None:
        self.random = Random(0)
        self._holder: _Turn | None = None
        self._waiting: list[_Turn] = []
        self._quiet: list[asyncio.Future[None]] = []

    async def quiet(self) -> None:
        """Until no transaction is under way and nothing that is ready to run asks for one."""
        calm = 0
        while calm < 5:
            await asyncio.sleep(0)
            calm += 1
            if self.is_owed():
                calm = 0
                waiting = asyncio.get_running_loop().create_future()
                self._quiet.append(waiting)
                await waiting

    def is_owed(self) -> bool:
        return self._holder is not None or any(_may_go_on(turn.process) for turn in self._waiting)

    async def take(self, process: Process | None) -> _Turn:
        turn = _Turn(process, asyncio.get_running_loop().create_future())
        self._waiting.append(turn)
        self.hand_over()
        try:
            await turn.granted
        except BaseException:
            self.give(turn)
            raise
        return turn

    def give(self, turn: _Turn) -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)
        if self._holder is turn:
            self._holder = None
        self.hand_over()

    def hand_over(self) -> None:
        able = [turn for turn in self._waiting if _may_go_on(turn.process)]
        if self._holder is None and able:
            self._holder = self.random.choice(able)
            self._waiting.remove(self._holder)
            self._holder.granted.set_result(None)
        if not self.is_owed():
            for waiting in self._quiet:
                if not waiting.done():
                    waiting.set_result(None)
            self._quiet.clear()

    def drop(self, process: Process) -> int | None:
        """A process is dead: its transaction is cut off as it stands. Returns the server's process for it, if there was one."""
        self._waiting = [turn for turn in self._waiting if turn.process is not process]
        connection = None
        if self._holder is not None and self._holder.process is process:
            connection = self._holder.connection
            self._holder = None
        backend = None
        if connection is not None and connection.driver_connection is not None:
            backend = connection.driver_connection.get_server_pid()
            connection.invalidate()
        self.hand_over()
        return backend


def _may_go_on(process: Process | None) -> bool:
    return process is None or process.life in (Life.ALIVE, Life.BURIED)


class SharedDatabase(Database):
    """As one process sees it. All share the connections of `shared`."""

    def __init__(self, shared: Database, turns: Turns, process: Process | None, now: Callable[[], datetime]) -> None:
        self.engine = shared.engine
        self._shared = shared
        self._turns = turns
        self._process = process
        self._now = now

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        if self._process is not None and self._process.life is Life.BURIED:
            raise OSError("this process is dead")
        with uncounted():
            turn = await self._turns.take(self._process)
        try:
            async with self._shared.transaction() as session:
                with uncounted():
                    await session.execute(_SET_CLOCK, {"now": self._now().isoformat()})
                    connection = await session.connection()
                    turn.connection = await connection.get_raw_connection()
                yield session
        finally:
            self._turns.give(turn)

    async def fetch(self, statement: SingleStatement, values: Mapping[str, Any]) -> list[Row]:
        """Under the model's clock, which a transaction sets: on the connection beneath its session."""
        async with self.transaction() as session:
            connection = await (await session.connection()).get_raw_connection()
            driver: Any = connection.driver_connection
            rows: list[Row] = await driver.fetch(statement.text, *statement.in_order(values))
            return rows

    @asynccontextmanager
    async def unhurried(self) -> AsyncIterator[AsyncSession]:
        """One transaction at a time is under way anyhow."""
        async with self.transaction() as session:
            yield session

    async def close(self) -> None:
        """The connections are not ours to close."""
