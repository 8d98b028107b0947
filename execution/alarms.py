"""Alarms as rows: raised once while they last, cleared when over. Who is told of them is `runtime/telling.py`'s business."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from execution.alarm_kinds import Over, kind_of
from storage.any_of import any_of
from storage.ids import new_id
from storage.models import Alert, Severity

# What a person has acknowledged as settled is not raised again for the same thing within this time.
SETTLED_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Alarm:
    """`key` names what it is about: the same key is raised once while it is open. `severity`: where not its kind's."""

    key: str
    kind: str
    message: str
    severity: Severity | None = None
    user_id: str | None = None
    account_id: str | None = None
    run_id: str | None = None


def doubt_alarm(order_id: str, run_id: str, *, user_id: str, account_id: str) -> Alarm:
    """The same from whoever notices the doubt."""
    message = "An order has been in doubt for more than 10 s; the broker's book is being read"
    return Alarm(f"in-doubt:{order_id}", "order_in_doubt", message, user_id=user_id, account_id=account_id, run_id=run_id)


async def raise_alarm(session: AsyncSession, alarm: Alarm) -> bool:
    """True when it was not up already."""
    kind = kind_of(alarm.kind)
    values = {
        "id": new_id(Alert.id_prefix),
        "key": alarm.key,
        "kind": alarm.kind,
        "severity": alarm.severity or kind.severity,
        "message": alarm.message,
        "user_id": alarm.user_id,
        "account_id": alarm.account_id,
        "run_id": alarm.run_id,
    }
    columns = [Alert.__table__.c[name] for name in values]
    wanted = select(*(literal(value, column.type) for value, column in zip(values.values(), columns, strict=True)))
    if kind.over is Over.PERSON:
        recently = Alert.acknowledged_at > func.clock_timestamp() - SETTLED_FOR
        wanted = wanted.where(~select(Alert.id).where(Alert.key == alarm.key, recently).exists())
    statement = insert(Alert).from_select(list(values), wanted)
    statement = statement.on_conflict_do_nothing(index_elements=["key"], index_where=text("cleared_at IS NULL"))
    return (await session.execute(statement.returning(Alert.id))).first() is not None


async def clear_alarm(session: AsyncSession, key: str) -> bool:
    """True when it was up."""
    statement = update(Alert).where(Alert.key == key, Alert.cleared_at.is_(None)).values(cleared_at=func.clock_timestamp())
    return (await session.execute(statement.returning(Alert.id))).first() is not None


async def alarms_up(session: AsyncSession, account_ids: Sequence[str]) -> dict[str, set[str]]:
    """Keys of the open alarms of each of these accounts; an account without any is absent."""
    query = select(Alert.account_id, Alert.key).where(Alert.cleared_at.is_(None), Alert.account_id == any_of(account_ids))
    found: dict[str, set[str]] = {}
    for account_id, key in await session.execute(query):
        if account_id is not None:
            found.setdefault(account_id, set()).add(key)
    return found
