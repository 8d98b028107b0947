"""Run events, read for pages and for live streams.

Sequence numbers are given when a row is inserted, not when it is committed: a lower number may appear after a higher one. A
stream that went past the gap would lose that event for good, also over a reconnect. So streams read only what is settled: rows
below which no transaction can add any more.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.database import Database
from storage.models import RunEvent


async def page(
    session: AsyncSession, *, user_id: str, strategy_id: str, run_id: str | None, after: int, limit: int
) -> Sequence[RunEvent]:
    """Oldest first."""
    statement = select(RunEvent).where(
        RunEvent.user_id == user_id, RunEvent.strategy_id == strategy_id, RunEvent.sequence > after
    )
    if run_id is not None:
        statement = statement.where(RunEvent.run_id == run_id)
    return (await session.scalars(statement.order_by(RunEvent.sequence).limit(limit))).all()


async def after(
    session: AsyncSession, sequence: int, *, upto: int, user_id: str, strategy_id: str | None, limit: int
) -> Sequence[RunEvent]:
    """Lines after that one, up to one below which everything is settled; oldest first."""
    statement = select(RunEvent).where(RunEvent.user_id == user_id, RunEvent.sequence > sequence, RunEvent.sequence <= upto)
    if strategy_id is not None:
        statement = statement.where(RunEvent.strategy_id == strategy_id)
    return (await session.scalars(statement.order_by(RunEvent.sequence).limit(limit))).all()


async def newest_sequence(session: AsyncSession, *, user_id: str | None, strategy_id: str | None = None) -> int:
    """The highest number so far, 0 before the first; of everybody's without a user."""
    statement = select(func.max(RunEvent.sequence))
    if user_id is not None:
        statement = statement.where(RunEvent.user_id == user_id)
    if strategy_id is not None:
        statement = statement.where(RunEvent.strategy_id == strategy_id)
    return (await session.scalar(statement)) or 0


# The number of this transaction, which every transaction that began to write before has a lower one than.
_OWN_NUMBER = text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)")
_OLDEST_OPEN = text("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)")


async def newest_settled(database: Database, *, pause_seconds: float) -> int:
    """The newest line, once nothing below it can be added any more: waits for whoever was writing when it was read."""
    async with database.unhurried() as session:
        newest = await newest_sequence(session, user_id=None)
        number = (await session.scalars(_OWN_NUMBER)).one()
    while True:
        async with database.unhurried() as session:
            if await session.scalar(_OLDEST_OPEN) >= number:
                return newest
        await asyncio.sleep(pause_seconds)


@dataclass(frozen=True, slots=True)
class _Sighting:
    """The highest sequence seen, and the transaction before which whoever may still add lower ones had begun."""

    sequence: int
    transaction: int


class SettledEvents:
    """Reads everybody's events in order, each exactly once. Every `read` needs a transaction of its own."""

    def __init__(self, *, after: int) -> None:
        self._after = after
        self._sighting: _Sighting | None = None

    @property
    def is_waiting(self) -> bool:
        """There is something that was not handed out yet: read again soon."""
        return self._sighting is not None

    async def read(self, session: AsyncSession, *, limit: int) -> Sequence[RunEvent]:
        """What has settled, oldest first. The first read of something new only takes note of it."""
        if self._sighting is None:
            self._sighting = await self._sight(session)
            return ()
        if await session.scalar(_OLDEST_OPEN) < self._sighting.transaction:
            return ()
        events = await self._upto(session, self._sighting.sequence, limit)
        if len(events) < limit:
            self._sighting = None
        if events:
            self._after = events[-1].sequence
        return events

    async def _sight(self, session: AsyncSession) -> _Sighting | None:
        statement = select(func.max(RunEvent.sequence)).where(RunEvent.sequence > self._after)
        highest = await session.scalar(statement)
        return None if highest is None else _Sighting(highest, (await session.scalars(_OWN_NUMBER)).one())

    async def _upto(self, session: AsyncSession, highest: int, limit: int) -> Sequence[RunEvent]:
        statement = select(RunEvent).where(RunEvent.sequence > self._after, RunEvent.sequence <= highest)
        return (await session.scalars(statement.order_by(RunEvent.sequence).limit(limit))).all()
