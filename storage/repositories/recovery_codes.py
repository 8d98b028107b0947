"""Recovery codes: each stands in for the second factor once."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import RecoveryCode


async def replace(session: AsyncSession, *, user_id: str, hashes: Iterable[str]) -> None:
    """These and no others. None at all: the second factor is off."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    session.add_all(RecoveryCode(user_id=user_id, code_hash=code_hash, created_by=user_id) for code_hash in hashes)


async def use(session: AsyncSession, *, user_id: str, code_hash: str, now: datetime) -> bool:
    """Whether it was one of theirs that had not been used; it is used now."""
    which = (RecoveryCode.user_id == user_id, RecoveryCode.code_hash == code_hash, RecoveryCode.used_at.is_(None))
    statement = update(RecoveryCode).where(*which).values(used_at=now).returning(RecoveryCode.id)
    return await session.scalar(statement) is not None


async def count_left(session: AsyncSession, *, user_id: str) -> int:
    which = (RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return (await session.scalar(select(func.count()).where(*which))) or 0
