"""Alarms: raised once while they last, cleared when over. Rows first; who is told is decided elsewhere."""

from dataclasses import dataclass

from sqlalchemy import func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.ids import new_id
from storage.models import Alert, Severity


@dataclass(frozen=True, slots=True)
class Alarm:
    """`key` names what it is about: the same key is raised once while it is open."""

    key: str
    kind: str
    message: str
    severity: Severity = Severity.CRITICAL
    user_id: str | None = None
    account_id: str | None = None
    run_id: str | None = None


async def raise_alarm(session: AsyncSession, alarm: Alarm) -> bool:
    """True when it was not up already."""
    values = {
        "id": new_id(Alert.id_prefix),
        "key": alarm.key,
        "kind": alarm.kind,
        "severity": alarm.severity,
        "message": alarm.message,
        "user_id": alarm.user_id,
        "account_id": alarm.account_id,
        "run_id": alarm.run_id,
    }
    statement = insert(Alert).values(**values)
    statement = statement.on_conflict_do_nothing(index_elements=["key"], index_where=text("cleared_at IS NULL"))
    return (await session.execute(statement.returning(Alert.id))).first() is not None


async def clear_alarm(session: AsyncSession, key: str) -> bool:
    """True when it was up."""
    statement = update(Alert).where(Alert.key == key, Alert.cleared_at.is_(None)).values(cleared_at=func.clock_timestamp())
    return (await session.execute(statement.returning(Alert.id))).first() is not None
