"""The chain of the audit log. Each entry's hash covers the entry and the hash before it; seals say how far it was chained.

Made a moment after the entries were committed, by whoever holds the lock, so that nobody who acts waits for another's entry. An
entry without a place in the chain yet is protected by nothing; the check says how many there are. Who can write to the database
can make the whole chain anew: against that, note its head elsewhere and give it to the check.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.database import Database
from storage.models import AuditEntry, AuditSeal

FIRST_HASH = "0" * 64
_CHAIN_LOCK = 7_203_114_555
_SEAL_ROWS = 500
_CHECK_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain. `sequence` is 0 while it is empty."""

    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What a check found. `broken_at`: the first place that is not as it was sealed; `why` in words, empty when it is whole."""

    head: Head
    unsealed: int
    oldest_unsealed_at: datetime | None
    broken_at: int | None = None
    why: str = ""


class _Broken(Exception):
    def __init__(self, sequence: int, why: str) -> None:
        super().__init__(why)
        self.sequence, self.why = sequence, why


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


async def seal(session: AsyncSession) -> int:
    """Chain the oldest entries that are not yet; how many. Two who seal at once do so one after the other."""
    await session.execute(select(func.pg_advisory_xact_lock(_CHAIN_LOCK)))
    unsealed = select(AuditEntry).where(AuditEntry.sequence.is_(None)).order_by(AuditEntry.number).limit(_SEAL_ROWS)
    entries = (await session.scalars(unsealed)).all()
    if not entries:
        return 0
    head = await read_head(session)
    sequence, previous = head.sequence, head.hash
    places = []
    for entry in entries:
        sequence += 1
        entry.sequence, entry.previous_hash = sequence, previous
        previous = entry.hash = hash_of(entry)
        places.append({"id": entry.id, "sequence": sequence, "previous_hash": entry.previous_hash, "hash": previous})
        session.expunge(entry)
    await session.execute(update(AuditEntry), places)
    session.add(AuditSeal(sequence=sequence, hash=previous))
    return len(entries)


async def seal_all(database: Database) -> int:
    """Everything that was committed before; how many entries."""
    sealed = 0
    while True:
        async with database.transaction() as session:
            count = await seal(session)
        sealed += count
        if count < _SEAL_ROWS:
            return sealed


async def read_head(session: AsyncSession) -> Head:
    """By the entries and the seals, whichever goes further: the chain never grows over a place where entries were taken off."""
    newest = select(AuditEntry.sequence, AuditEntry.hash).where(AuditEntry.sequence.is_not(None))
    entry = (await session.execute(newest.order_by(AuditEntry.sequence.desc()).limit(1))).first()
    seal_row = (
        await session.execute(select(AuditSeal.sequence, AuditSeal.hash).order_by(AuditSeal.sequence.desc()).limit(1))
    ).first()
    found = [Head(row.sequence, row.hash) for row in (entry, seal_row) if row is not None]
    return max(found, key=lambda head: head.sequence, default=Head(0, FIRST_HASH))


async def check(database: Database, *, noted: Head | None = None) -> Chain:
    """Read the whole log and prove it. `noted`: a head that was written down elsewhere earlier, and must still be in the chain.

    Reads in pages, each in a transaction of its own; entries that are sealed meanwhile are left for the next check.
    """
    async with database.transaction() as session:
        last_sequence = await session.scalar(select(func.max(AuditEntry.sequence))) or 0
        head = await read_head(session)
        waiting = select(func.count(), func.min(AuditEntry.at)).where(AuditEntry.sequence.is_(None))
        unsealed, oldest = (await session.execute(waiting)).one()
        newest_seal = await session.scalar(select(func.max(AuditSeal.sequence))) or 0
    try:
        await _check_links(database, upto=head.sequence, noted=noted)
        if newest_seal < last_sequence:
            raise _Broken(newest_seal + 1, "the seal of these entries is missing")
    except _Broken as broken:
        return Chain(head, unsealed, oldest, broken.sequence, broken.why)
    return Chain(head, unsealed, oldest)


async def _check_links(database: Database, *, upto: int, noted: Head | None) -> None:
    expected, previous = 1, FIRST_HASH
    while expected <= upto:
        last = min(upto, expected + _CHECK_ROWS - 1)
        async with database.transaction() as session:
            entries, seals = await _page(session, expected, last)
        for entry in entries:
            previous = _check_link(entry, expected, previous, sealed=seals.get(expected), noted=noted)
            expected += 1
        if expected <= last:
            raise _Broken(expected, "the entry is missing")
    if noted is not None and noted.sequence > upto:
        raise _Broken(upto + 1, f"the chain once went on to entry {noted.sequence}")


def _check_link(entry: AuditEntry, expected: int, previous: str, *, sealed: str | None, noted: Head | None) -> str:
    """The entry's hash. Raises _Broken."""
    if entry.sequence != expected:
        raise _Broken(expected, "the entry is missing")
    if entry.previous_hash != previous or entry.hash != hash_of(entry):
        raise _Broken(expected, "the entry is not as it was sealed")
    if sealed is not None and sealed != entry.hash:
        raise _Broken(expected, "the seal says another hash: the chain before it was made anew")
    if noted is not None and noted.sequence == expected and noted.hash != entry.hash:
        raise _Broken(expected, "the head that was noted says another hash: the chain before it was made anew")
    return entry.hash


async def _page(session: AsyncSession, first: int, last: int) -> tuple[Sequence[AuditEntry], dict[int, str]]:
    entries = select(AuditEntry).where(AuditEntry.sequence.between(first, last)).order_by(AuditEntry.sequence)
    seals = select(AuditSeal).where(AuditSeal.sequence.between(first, last))
    return (await session.scalars(entries)).all(), {row.sequence: row.hash for row in await session.scalars(seals)}
