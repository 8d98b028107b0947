"""Answers that mutations gave the first time, by user and key."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.ids import new_id
from storage.models import IdempotencyKey

LIFE = timedelta(days=1)
# A first request that has not answered after this long died with its process.
WORK_LIMIT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Known:
    """What the key was used for. `status` None: the first request is still being worked on."""

    request_hash: str
    status: int | None
    body: str | None


async def claim(session: AsyncSession, *, user_id: str, key: str, request_hash: str, now: datetime) -> Known | None:
    """None: the key is ours and the request may be worked on. Else what the key stands for already."""
    stale = or_(
        IdempotencyKey.expires_at <= now,
        IdempotencyKey.answer_status.is_(None) & (IdempotencyKey.updated_at <= now - WORK_LIMIT),
    )
    await session.execute(delete(IdempotencyKey).where(_is(user_id, key), stale))
    statement = insert(IdempotencyKey).values(
        id=new_id(IdempotencyKey.id_prefix),
        user_id=user_id,
        key=key,
        request_hash=request_hash,
        expires_at=now + LIFE,
        created_at=now,
        updated_at=now,
    )
    inserted = await session.execute(statement.on_conflict_do_nothing().returning(IdempotencyKey.id))
    if inserted.first() is not None:
        return None
    row = await session.scalar(select(IdempotencyKey).where(_is(user_id, key)))
    # Released between the two statements: the other request had failed, so this one may be tried again by the caller.
    return Known(request_hash, None, None) if row is None else Known(row.request_hash, row.answer_status, row.answer_body)


async def store(session: AsyncSession, *, user_id: str, key: str, status: int, body: str) -> None:
    values = {"answer_status": status, "answer_body": body}
    await session.execute(update(IdempotencyKey).where(_is(user_id, key)).values(**values))


async def release(session: AsyncSession, *, user_id: str, key: str) -> None:
    """Nothing came of it: the key may be used again."""
    await session.execute(delete(IdempotencyKey).where(_is(user_id, key), IdempotencyKey.answer_status.is_(None)))


def _is(user_id: str, key: str) -> ColumnElement[bool]:
    return (IdempotencyKey.user_id == user_id) & (IdempotencyKey.key == key)
