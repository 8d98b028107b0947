"""Lines that are only ever appended: of a timeline, of the order log.

Nobody reads them back where they are written, so they need nothing of what an object costs, which was a third of storing a fill:
they leave together at the end of their transaction, one statement for each table, in the order in which they were appended.
"""

from functools import cache
from typing import Any, cast

from sqlalchemy import Insert, Table, bindparam, func, insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.ids import new_id
from storage.models.base import Instant
from storage.models.orders import OrderLog
from storage.models.strategies import RunEvent

Line = type[RunEvent] | type[OrderLog]
_APPENDED = "appended lines"


def append(session: AsyncSession, kind: Line, /, **values: Any) -> None:
    """Add a line to those the transaction ends with. Lines of a table name the same values; with `at` None it is that moment."""
    lines: dict[Line, list[dict[str, Any]]] = session.info.setdefault(_APPENDED, {})
    lines.setdefault(kind, []).append({"id": new_id(kind.id_prefix), **values})


async def write_appended(session: AsyncSession) -> None:
    """Write what was appended so far, after everything it may be about."""
    lines: dict[Line, list[dict[str, Any]]] = session.info.pop(_APPENDED, {})
    if lines:
        await session.flush()
    for kind, values in lines.items():
        await session.execute(_statement(kind), values)


@cache
def _statement(kind: Line) -> Insert:
    at = func.coalesce(bindparam("at", type_=Instant), func.clock_timestamp())
    return insert(cast("Table", kind.__table__)).values(at=at)
