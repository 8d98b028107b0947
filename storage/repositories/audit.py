"""The audit log: who did what. Each entry's hash covers the entry and the hash before it, so nothing can be taken out unseen."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import AuditEntry

FIRST_HASH = "0" * 64
_CHAIN_LOCK = 7_203_114_555
_CHECK_ROWS = 1_000


async def append(
    session: AsyncSession, *, actor_id: str | None, action: str, subject_id: str | None, now: datetime, **data: Any
) -> None:
    """Write one entry, as the last thing of a transaction: others that write wait for its end. `data` holds no secret."""
    await session.execute(select(func.pg_advisory_xact_lock(_CHAIN_LOCK)))
    newest = select(AuditEntry.sequence, AuditEntry.hash).order_by(AuditEntry.sequence.desc()).limit(1)
    last = (await session.execute(newest)).first()
    sequence, previous = (last.sequence + 1, last.hash) if last else (1, FIRST_HASH)
    entry = AuditEntry(
        sequence=sequence,
        at=now,
        actor_id=actor_id,
        action=action,
        subject_id=subject_id,
        data=data,
        previous_hash=previous,
        created_by=actor_id,
    )
    entry.hash = hash_of(entry)
    session.add(entry)
    await session.flush()


def hash_of(entry: AuditEntry) -> str:
    """SHA-256 over the entry and its predecessor's hash, in a form that does not depend on how it is stored."""
    content = [
        entry.sequence,
        entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        entry.actor_id,
        entry.action,
        entry.subject_id,
        entry.data,
        entry.previous_hash,
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


async def first_break(session: AsyncSession) -> int | None:
    """The sequence at which the chain is broken, or None when it is whole."""
    expected, previous = 1, FIRST_HASH
    while True:
        page = await _from(session, expected)
        for entry in page:
            if entry.sequence != expected or entry.previous_hash != previous or entry.hash != hash_of(entry):
                return expected
            expected, previous = expected + 1, entry.hash
        if len(page) < _CHECK_ROWS:
            return None


async def _from(session: AsyncSession, sequence: int) -> Sequence[AuditEntry]:
    statement = select(AuditEntry).where(AuditEntry.sequence >= sequence).order_by(AuditEntry.sequence).limit(_CHECK_ROWS)
    return (await session.scalars(statement)).all()


async def list_page(session: AsyncSession, *, before: int | None, limit: int) -> Sequence[AuditEntry]:
    """Newest first, for Admins."""
    statement = select(AuditEntry).order_by(AuditEntry.sequence.desc()).limit(limit)
    if before is not None:
        statement = statement.where(AuditEntry.sequence < before)
    return (await session.scalars(statement)).all()
