"""The audit log: who did what. Writing an entry waits for nobody; it is chained to the others afterwards (audit_chain.py)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import AuditEntry


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What is left out does not matter. `action` is a whole action or its first word, such as `user`."""

    actor_id: str | None = None
    subject_id: str | None = None
    action: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


async def append(
    session: AsyncSession, *, actor_id: str | None, action: str, subject_id: str | None, now: datetime, **data: Any
) -> None:
    """Write one entry in the caller's transaction: what happened and its entry are there together or not at all.

    `data` holds no secret.
    """
    session.add(AuditEntry(at=now, actor_id=actor_id, action=action, subject_id=subject_id, data=data, created_by=actor_id))
    await session.flush()


async def list_page(session: AsyncSession, wanted: AuditFilter, *, before: int | None, limit: int) -> Sequence[AuditEntry]:
    """Newest first, for Admins."""
    statement = select(AuditEntry).order_by(AuditEntry.number.desc()).limit(limit)
    if before is not None:
        statement = statement.where(AuditEntry.number < before)
    if wanted.actor_id is not None:
        statement = statement.where(AuditEntry.actor_id == wanted.actor_id)
    if wanted.subject_id is not None:
        statement = statement.where(AuditEntry.subject_id == wanted.subject_id)
    if wanted.action is not None:
        is_it = AuditEntry.action == wanted.action
        statement = statement.where(is_it | AuditEntry.action.startswith(f"{wanted.action}.", autoescape=True))
    if wanted.from_at is not None:
        statement = statement.where(AuditEntry.at >= wanted.from_at)
    if wanted.to_at is not None:
        statement = statement.where(AuditEntry.at < wanted.to_at)
    return (await session.scalars(statement)).all()
