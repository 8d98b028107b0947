"""Refresh tokens: families that rotate, and end as a whole."""

from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import Session


def add(session: AsyncSession, *, user_id: str, family_id: str, token_hash: str, expires_at: datetime) -> None:
    row = Session(user_id=user_id, family_id=family_id, token_hash=token_hash, expires_at=expires_at, created_by=user_id)
    session.add(row)


async def find_for_update(session: AsyncSession, *, token_hash: str) -> Session | None:
    """Locked: two uses of one token are seen one after the other."""
    return await session.scalar(select(Session).where(Session.token_hash == token_hash).with_for_update())


async def end_family(session: AsyncSession, *, family_id: str, user_id: str, now: datetime) -> None:
    """No token of the family works any more, access tokens included."""
    await _end(session, Session.family_id == family_id, Session.user_id == user_id, now=now)


async def end_all(session: AsyncSession, *, user_id: str, now: datetime) -> None:
    """Logged out everywhere."""
    await _end(session, Session.user_id == user_id, now=now)


async def _end(session: AsyncSession, *which: ColumnElement[bool], now: datetime) -> None:
    statement = update(Session).where(*which, Session.revoked_at.is_(None)).values(revoked_at=now)
    await session.execute(statement)
