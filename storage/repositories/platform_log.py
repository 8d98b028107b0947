"""Errors of the processes and failed broker calls: written in batches, searched by Admins, removed after a while."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Text, cast, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.ids import id_at
from storage.models import LogEntry, LogKind

_FORGET_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class LogFilter:
    """`text` is looked for in every column people read, whatever its case."""

    from_at: datetime
    to_at: datetime
    text: str | None = None


async def page(session: AsyncSession, kind: LogKind, wanted: LogFilter, *, before: str | None, limit: int) -> Sequence[LogEntry]:
    """Newest first; ids grow with time."""
    until = id_at(LogEntry.id_prefix, wanted.to_at)
    statement = select(LogEntry).where(
        LogEntry.kind == kind,
        LogEntry.id >= id_at(LogEntry.id_prefix, wanted.from_at),
        LogEntry.id < (until if before is None else min(before, until)),
    )
    if wanted.text:
        columns = (LogEntry.event, LogEntry.message, LogEntry.process, LogEntry.level, cast(LogEntry.data, Text))
        statement = statement.where(or_(*(column.icontains(wanted.text, autoescape=True) for column in columns)))
    return (await session.scalars(statement.order_by(LogEntry.id.desc()).limit(limit))).all()


async def forget(session: AsyncSession, *, before: datetime) -> int:
    """How many were removed."""
    old = select(LogEntry.id).where(LogEntry.id < id_at(LogEntry.id_prefix, before)).limit(_FORGET_ROWS)
    removed = await session.execute(delete(LogEntry).where(LogEntry.id.in_(old)).returning(LogEntry.id))
    return len(removed.all())
