"""The connection to Postgres: one engine per process, one transaction per unit of work, committed at the edge."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from storage.appending import write_appended
from storage.single import Row, SingleStatement, SingleStatements

# A statement that runs longer than this is stuck; orders must not wait behind it (milliseconds).
STATEMENT_TIMEOUT_MS = 10_000
# A transaction left open this long by a stalled process is ended by the server, so that its locks do not outlive it.
IDLE_TRANSACTION_TIMEOUT_MS = 15_000
# A server that has not answered by then never will (it failed over, its network is cut): the connection is given up (seconds).
ANSWER_TIMEOUT_SECONDS = 12.0
# Statements a connection keeps prepared: above the number of different ones that a process knows.
STATEMENTS_PREPARED = 500

# Of a process's connections so many are for single statements (storage/single.py says why so few), a quarter of them at most.
SINGLE_STATEMENTS = 8


class Database:
    """Opens sessions. `async with database.transaction() as session:` commits at the end or rolls everything back."""

    def __init__(
        self, url: str, *, pool_size: int = 40, name: str = "algo-trading", answer_seconds: float = ANSWER_TIMEOUT_SECONDS
    ) -> None:
        """`pool_size`: connections in all, two at least."""
        singles = min(SINGLE_STATEMENTS, max(1, pool_size // 4))
        options = {
            "timeout": 5,
            "command_timeout": answer_seconds,
            "server_settings": {
                "application_name": name[:60],
                "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                "idle_in_transaction_session_timeout": str(IDLE_TRANSACTION_TIMEOUT_MS),
                "timezone": "UTC",
            },
        }
        self.engine: AsyncEngine = create_async_engine(
            url,
            # Opened as they are needed and then kept, the last one used first: a new connection knows no statement and no array
            # type yet, and a herd that opened and closed them spent a tenth of its second on learning both again and again.
            pool_size=max(1, pool_size - singles),
            max_overflow=0,
            pool_use_lifo=True,
            pool_timeout=10,
            connect_args={"prepared_statement_cache_size": STATEMENTS_PREPARED, **options},
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._singles = SingleStatements(self.engine.url, size=singles, options=options)
        self._unhurried = asyncio.Semaphore(max(1, pool_size // 4))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        async with self._sessions() as session, session.begin():
            yield session
            await write_appended(session)

    async def fetch(self, statement: SingleStatement, values: Mapping[str, Any]) -> list[Row]:
        """One statement, committed by itself, and its rows as the driver has them. Raises what a session raises."""
        return await self._singles.fetch(statement, values)

    @asynccontextmanager
    async def unhurried(self) -> AsyncIterator[AsyncSession]:
        """A transaction that can wait a moment: all of them together leave most connections to those that cannot.

        A hundred streams that read at once must not make a claim, or a person's request, queue behind them.
        """
        async with self._unhurried, self.transaction() as session:
            yield session

    async def close(self) -> None:
        await self._singles.close()
        await self.engine.dispose()

    async def __aenter__(self) -> "Database":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()
