"""Users, and those of them an Admin looks at."""

from collections.abc import Sequence

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import Role, Session, User, UserState


async def find(session: AsyncSession, *, user_id: str) -> User | None:
    return await session.scalar(select(User).where(User.id == user_id, User.deleted_at.is_(None)))


async def find_for_update(session: AsyncSession, *, user_id: str) -> User | None:
    return await session.scalar(select(User).where(User.id == user_id, User.deleted_at.is_(None)).with_for_update())


async def find_by_email(session: AsyncSession, *, email: str) -> User | None:
    return await session.scalar(select(User).where(func.lower(User.email) == email.lower(), User.deleted_at.is_(None)))


async def find_with_session(session: AsyncSession, *, user_id: str, family_id: str) -> User | None:
    """The user, while that session family of theirs has not been ended."""
    ended = exists().where(Session.family_id == family_id, Session.revoked_at.is_not(None))
    known = exists().where(Session.family_id == family_id, Session.user_id == User.id)
    return await session.scalar(select(User).where(User.id == user_id, User.deleted_at.is_(None), known, ~ended))


async def list_page(session: AsyncSession, *, after_id: str | None, limit: int) -> Sequence[User]:
    """All users, oldest first; for Admins."""
    statement = select(User).where(User.deleted_at.is_(None)).order_by(User.id).limit(limit)
    if after_id is not None:
        statement = statement.where(User.id > after_id)
    return (await session.scalars(statement)).all()


async def count_active_admins(session: AsyncSession) -> int:
    statement = select(func.count()).where(User.role == Role.ADMIN, User.state == UserState.ACTIVE, User.deleted_at.is_(None))
    return (await session.scalar(statement)) or 0


async def lock_admins(session: AsyncSession) -> None:
    """Two changes that would each leave one Admin are made one after the other."""
    await session.execute(select(func.pg_advisory_xact_lock(7_203_114_554)))
