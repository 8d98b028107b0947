"""API keys: found by their hash, listed and revoked by their owner."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import ApiKey, User, UserState

# Written down at most this often: a program that asks ten times a second is no ten writes.
USED_EVERY = timedelta(minutes=1)


async def find_with_user(session: AsyncSession, *, key_hash: str, now: datetime) -> tuple[ApiKey, User] | None:
    """A key that works, and its owner, whatever their state. Notes that it was used."""
    row = (await session.execute(_working(now).where(ApiKey.key_hash == key_hash))).first()
    if row is None:
        return None
    key, user = row
    if key.last_used_at is None or key.last_used_at <= now - USED_EVERY:
        await session.execute(update(ApiKey).where(ApiKey.id == key.id).values(last_used_at=now))
    return key, user


async def admitted(session: AsyncSession, key_ids: Collection[str], *, now: datetime) -> set[str]:
    """Those of these keys that work, of users who may be here."""
    rows = await session.execute(_working(now).where(ApiKey.id.in_(key_ids), User.state == UserState.ACTIVE))
    return {key.id for key, _ in rows}


def _working(now: datetime) -> Select[ApiKey, User]:
    is_alive = (ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now))
    return select(ApiKey, User).join(User, User.id == ApiKey.user_id).where(*is_alive, User.deleted_at.is_(None))


async def list_of(session: AsyncSession, *, user_id: str) -> Sequence[ApiKey]:
    """Those that were not revoked, also when they have expired; the newest first."""
    statement = select(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    return (await session.scalars(statement.order_by(ApiKey.id.desc()))).all()


async def count_of(session: AsyncSession, *, user_id: str) -> int:
    return (await session.scalar(select(func.count()).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None)))) or 0


async def revoke(session: AsyncSession, *, key_id: str, user_id: str, now: datetime) -> bool:
    """False: no such key of theirs, or revoked before."""
    which = (ApiKey.id == key_id, ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    return await session.scalar(update(ApiKey).where(*which).values(revoked_at=now).returning(ApiKey.id)) is not None
