"""Refresh tokens: families that rotate, and end as a whole."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import Session, User, UserState


@dataclass(frozen=True, slots=True)
class Device:
    """What a session was begun or refreshed with."""

    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A family whose newest refresh token still works."""

    family_id: str
    began_at: datetime
    refreshed_at: datetime
    expires_at: datetime
    device: Device


def add(
    session: AsyncSession, *, user_id: str, family_id: str, token_hash: str, expires_at: datetime, device: Device, now: datetime
) -> None:
    row = Session(user_id=user_id, family_id=family_id, token_hash=token_hash, expires_at=expires_at, created_by=user_id)
    row.address, row.user_agent, row.created_at = device.address, device.user_agent, now
    session.add(row)


async def find_for_update(session: AsyncSession, *, token_hash: str) -> Session | None:
    """Locked: two uses of one token are seen one after the other."""
    return await session.scalar(select(Session).where(Session.token_hash == token_hash).with_for_update())


async def end_family(session: AsyncSession, *, family_id: str, user_id: str, now: datetime) -> None:
    """No token of the family works any more, access tokens included."""
    await _end(session, Session.family_id == family_id, Session.user_id == user_id, now=now)


async def end_others(session: AsyncSession, *, user_id: str, keep: str, now: datetime) -> None:
    """Logged out everywhere but here."""
    await _end(session, Session.user_id == user_id, Session.family_id != keep, now=now)


async def is_ended(session: AsyncSession, *, family_id: str) -> bool:
    """Whether a token of the family was revoked: then none of them works, whenever it was made."""
    return bool(await session.scalar(select(exists().where(Session.family_id == family_id, Session.revoked_at.is_not(None)))))


async def admitted(session: AsyncSession, family_ids: Collection[str]) -> set[str]:
    """Those of these families that were not ended, of users who may be here."""
    families = (
        select(Session.family_id)
        .join(User, User.id == Session.user_id)
        .where(Session.family_id.in_(family_ids), User.deleted_at.is_(None), User.state == UserState.ACTIVE)
        .group_by(Session.family_id)
        .having(func.bool_and(Session.revoked_at.is_(None)))
    )
    return set(await session.scalars(families))


async def live(session: AsyncSession, *, user_id: str, now: datetime) -> list[LiveSession]:
    """The user's sessions, the newest first."""
    rows = (await session.scalars(select(Session).where(Session.user_id == user_id).order_by(Session.id))).all()
    families: dict[str, list[Session]] = {}
    for row in rows:
        families.setdefault(row.family_id, []).append(row)
    found = [
        LiveSession(family_id, tokens[0].created_at, tokens[-1].created_at, tokens[-1].expires_at, _device(tokens[-1]))
        for family_id, tokens in families.items()
        if tokens[-1].expires_at > now and not any(token.revoked_at for token in tokens)
    ]
    return sorted(found, key=lambda one: one.refreshed_at, reverse=True)


def _device(row: Session) -> Device:
    return Device(row.address, row.user_agent)


async def end_all(session: AsyncSession, *, user_id: str, now: datetime) -> None:
    """Logged out everywhere."""
    await _end(session, Session.user_id == user_id, now=now)


async def _end(session: AsyncSession, *which: ColumnElement[bool], now: datetime) -> None:
    statement = update(Session).where(*which, Session.revoked_at.is_(None)).values(revoked_at=now)
    await session.execute(statement)
