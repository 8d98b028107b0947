"""What was measured, minute by minute: written by each process, read as series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.ids import new_id
from storage.models import MetricSample

# So that a clean-up after a long pause is done in bites.
_FORGET_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of one process in one minute, in the shape `runtime/sampling.py` writes."""

    process: str
    minute: datetime
    value: Any


async def keep(session: AsyncSession, *, process: str, minute: datetime, measured: Mapping[str, Any]) -> None:
    """A minute that is there already stays as it is."""
    values = {"id": new_id(MetricSample.id_prefix), "process": process, "minute": minute, "measured": dict(measured)}
    await session.execute(insert(MetricSample).values(**values).on_conflict_do_nothing(index_elements=["process", "minute"]))


async def read(session: AsyncSession, name: str, *, from_at: datetime, to_at: datetime) -> Sequence[Measured]:
    """That metric of every process, oldest first; minutes in which it was zero are absent."""
    statement = (
        select(MetricSample.process, MetricSample.minute, MetricSample.measured[name])
        .where(MetricSample.minute >= from_at, MetricSample.minute < to_at, MetricSample.measured.has_key(name))
        .order_by(MetricSample.minute)
    )
    return [Measured(process, minute, value) for process, minute, value in (await session.execute(statement)).all()]


async def forget(session: AsyncSession, *, before: datetime) -> int:
    """How many were removed."""
    old = select(MetricSample.id).where(MetricSample.minute < before).limit(_FORGET_ROWS)
    removed = await session.execute(delete(MetricSample).where(MetricSample.id.in_(old)).returning(MetricSample.id))
    return len(removed.all())
