"""Single statements, handed to the driver as they are: for what is asked so often, or so urgently, that each millisecond counts.

SQLAlchemy takes a millisecond of a core to execute one, several times what the server needs for it. Here a statement is compiled
once; its values go to asyncpg and its rows come from there untouched, without session, transaction or greenlet.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import asyncpg
from sqlalchemy import URL, Select, TextClause
from sqlalchemy.dialects.postgresql import asyncpg as dialect
from sqlalchemy.exc import DBAPIError

# Columns by name or place, as the driver has them: no enumerations, no objects.
Row: TypeAlias = asyncpg.Record

_DIALECT = dialect.dialect()  # type: ignore[no-untyped-call]
# Whoever waits so long for one of the connections is told that the database is away (seconds).
LONGEST_WAIT_SECONDS = 10.0
NO_END = sys.maxsize


class SingleStatement:
    """One statement with named values, in the driver's words: numbered, each with its type. `clause` is for sessions."""

    def __init__(self, clause: Select[*tuple[Any, ...]] | TextClause) -> None:
        self.clause = clause
        compiled = clause.compile(dialect=_DIALECT)
        self.text = str(compiled)
        self._places: Sequence[str] = compiled.positiontup or ()
        self._asked = {name for name, bound in compiled.binds.items() if bound.required}
        self._constants = {name: value for name, value in compiled.params.items() if name not in self._asked}

    def in_order(self, values: Mapping[str, Any]) -> list[Any]:
        """The values as the text numbers them. Raises KeyError unless they are those that the statement asks for."""
        if values.keys() != self._asked:
            raise KeyError(f"asked for {sorted(self._asked)}, given {sorted(values)}")
        given = {**self._constants, **values}
        return [given[name] for name in self._places]


class SingleStatements:
    """A few connections, opened as they are needed and then kept. Each statement commits by itself.

    Few: a statement takes a millisecond or two; a new connection, with all it has to learn before its first answer, some thirty.
    Whoever comes in a crowd is served sooner by waiting for one that is there.
    """

    def __init__(self, url: URL, *, size: int, options: Mapping[str, Any]) -> None:
        """`options`: what asyncpg's `connect` takes, beside what the URL says."""
        _, of_url = _DIALECT.create_connect_args(url)  # type: ignore[no-untyped-call]
        self._options = {**of_url, **options}
        self._size = size
        self._pool: asyncpg.Pool[Row] | None = None

    async def fetch(self, statement: SingleStatement, values: Mapping[str, Any]) -> list[Row]:
        """Raises what a session raises: SQLAlchemyError for what the server or the driver says, OSError, TimeoutError."""
        ordered = statement.in_order(values)
        try:
            pool = await self._opened()
            async with pool.acquire(timeout=LONGEST_WAIT_SECONDS) as connection:
                rows: list[Row] = await connection.fetch(statement.text, *ordered)
                return rows
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            is_lost = isinstance(error, asyncpg.PostgresConnectionError | asyncpg.InterfaceError)
            raise DBAPIError(statement.text, None, error, connection_invalidated=is_lost) from error

    async def _opened(self) -> "asyncpg.Pool[Row]":
        """The pool belongs to the loop that asks first; nothing is connected yet."""
        if self._pool is None:
            self._pool = await asyncpg.create_pool(
                **self._options,
                min_size=0,
                max_size=self._size,
                reset=_leave_as_it_is,
                # For ever: a new connection, or a forgotten statement, is learnt again while somebody waits.
                max_queries=NO_END,
                max_inactive_connection_lifetime=0,
                max_cached_statement_lifetime=0,
            )
        return self._pool

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()


async def _leave_as_it_is(connection: Any) -> None:
    """A single statement leaves nothing behind that would have to be reset, at the price of another question to the server."""
