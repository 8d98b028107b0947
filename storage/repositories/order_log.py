"""Every order request with its answer, and every line of every run's timeline, for Admins. Both are append-only."""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, Text, cast, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from storage.ids import id_at
from storage.models import OrderLog, RunEvent
from storage.repositories.platform_log import LogFilter

Row = TypeVar("Row", OrderLog, RunEvent)
Column = InstrumentedAttribute[str] | ColumnElement[str]


async def requests(session: AsyncSession, wanted: LogFilter, *, before: str | None, limit: int) -> Sequence[OrderLog]:
    """Newest first."""
    columns = (
        OrderLog.what,
        OrderLog.order_id,
        OrderLog.account_id,
        OrderLog.user_id,
        cast(OrderLog.request, Text),
        cast(OrderLog.answer, Text),
    )
    return await _page(session, OrderLog, columns, wanted, before=before, limit=limit)


async def run_events(session: AsyncSession, wanted: LogFilter, *, before: str | None, limit: int) -> Sequence[RunEvent]:
    """Newest first."""
    columns = (RunEvent.kind, RunEvent.message, RunEvent.run_id, RunEvent.strategy_id, RunEvent.user_id)
    return await _page(session, RunEvent, columns, wanted, before=before, limit=limit)


async def _page(
    session: AsyncSession, model: type[Row], columns: Sequence[Column], wanted: LogFilter, *, before: str | None, limit: int
) -> Sequence[Row]:
    """By the primary key, which grows with time: no index of its own burdens the order path."""
    until = id_at(model.id_prefix, wanted.to_at)
    statement = select(model).where(
        model.id >= id_at(model.id_prefix, wanted.from_at), model.id < (until if before is None else min(before, until))
    )
    if wanted.text:
        statement = statement.where(or_(*(column.icontains(wanted.text, autoescape=True) for column in columns)))
    return (await session.scalars(statement.order_by(model.id.desc()).limit(limit))).all()
