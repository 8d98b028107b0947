"""Alerts as people see them, and who has been told."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.ids import new_id
from storage.models import Alert, AlertDelivery, AlertEvent, Severity

# A beginning that nobody was told of is not told any more once it has been over for this long.
STALE_AFTER = timedelta(hours=1)
# After this many attempts, an hour and a half in all, a target has to be mended by a person.
MOST_ATTEMPTS = 12
FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Sight:
    """Whose alerts: a user's own and those of `everybody` (kinds), or all there are."""

    user_id: str
    everybody: Collection[str]
    sees_all: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """`only_open` leaves out what is over or acknowledged."""

    only_open: bool = True
    kind: str | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class ToTell:
    delivery_id: str
    event: AlertEvent
    alert: Alert


@dataclass(frozen=True, slots=True)
class Undelivered:
    """`waiting`: still tried; `oldest_at`: since when the longest waits; `given_up`: open alarms some target never took."""

    waiting: int
    given_up: int
    oldest_at: datetime | None


async def page(session: AsyncSession, *, sight: Sight, chosen: Filter, before: str | None, limit: int) -> Sequence[Alert]:
    """Newest first; ids grow with time."""
    statement = select(Alert).where(_seen_by(sight))
    if chosen.only_open:
        statement = statement.where(Alert.cleared_at.is_(None), Alert.acknowledged_at.is_(None))
    if chosen.kind is not None:
        statement = statement.where(Alert.kind == chosen.kind)
    if chosen.severity is not None:
        statement = statement.where(Alert.severity == chosen.severity)
    if before is not None:
        statement = statement.where(Alert.id < before)
    return (await session.scalars(statement.order_by(Alert.id.desc()).limit(limit))).all()


async def find_for_update(session: AsyncSession, *, alert_id: str, sight: Sight) -> Alert | None:
    """None: no such alert that they may see."""
    return await session.scalar(select(Alert).where(Alert.id == alert_id, _seen_by(sight)).with_for_update())


def _seen_by(sight: Sight) -> ColumnElement[bool]:
    if sight.sees_all:
        return literal(True)
    return or_(Alert.user_id == sight.user_id, and_(Alert.user_id.is_(None), Alert.kind.in_(sight.everybody)))


async def enlist(
    session: AsyncSession,
    *,
    target: str,
    most: int,
    user_id: str | None = None,
    raised_since: datetime | None = None,
    kinds: Collection[str] | None = None,
) -> int:
    """Write down what the target has not been told yet: beginnings, and the ends of what it was told had begun. Only one user's
    own, only what was raised since, and only of these kinds, where these are given."""
    chosen: list[ColumnElement[bool]] = [] if kinds is None else [Alert.kind.in_(kinds)]
    chosen += [] if user_id is None else [Alert.user_id == user_id]
    if raised_since is not None:
        chosen.append(Alert.raised_at >= raised_since)

    def known(event: AlertEvent) -> ColumnElement[bool]:
        same = (AlertDelivery.alert_id == Alert.id, AlertDelivery.event == event, AlertDelivery.target == target)
        return select(AlertDelivery.id).where(*same).exists()

    told = (AlertDelivery.alert_id == Alert.id, AlertDelivery.event == AlertEvent.RAISED, AlertDelivery.target == target)
    lately = Alert.cleared_at > func.clock_timestamp() - STALE_AFTER
    begun = select(Alert.id).where(
        or_(and_(Alert.cleared_at.is_(None), Alert.acknowledged_at.is_(None)), lately), ~known(AlertEvent.RAISED), *chosen
    )
    ended = select(Alert.id).where(
        Alert.cleared_at > func.clock_timestamp() - timedelta(days=1),
        select(AlertDelivery.id).where(*told, AlertDelivery.delivered_at.is_not(None)).exists(),
        ~known(AlertEvent.CLEARED),
        *chosen,
    )
    rows = [
        {"id": new_id(AlertDelivery.id_prefix), "alert_id": alert_id, "event": event, "target": target}
        for event, wanted in ((AlertEvent.RAISED, begun), (AlertEvent.CLEARED, ended))
        for alert_id in await session.scalars(wanted.order_by(Alert.id).limit(most))
    ]
    if rows:
        await session.execute(insert(AlertDelivery).values(rows).on_conflict_do_nothing())
    return len(rows)


async def take(session: AsyncSession, *, target: str, most: int, kinds: Collection[str] | None = None) -> list[ToTell]:
    """What is due for the target, of these kinds where they are given. Taking counts as an attempt and puts the next one off, so
    that a teller that dies is followed by another, later, and two never tell the same at once."""
    due = (
        select(AlertDelivery.id)
        .where(
            AlertDelivery.target == target,
            AlertDelivery.delivered_at.is_(None),
            AlertDelivery.attempts < MOST_ATTEMPTS,
            AlertDelivery.next_attempt_at <= func.clock_timestamp(),
            *([] if kinds is None else [AlertDelivery.alert_id.in_(select(Alert.id).where(Alert.kind.in_(kinds)))]),
        )
        .order_by(AlertDelivery.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    pause = func.least(FIRST_PAUSE_SECONDS * func.power(2, AlertDelivery.attempts), LONGEST_PAUSE_SECONDS)
    taken = (
        update(AlertDelivery)
        .where(AlertDelivery.id.in_(due.scalar_subquery()))
        .values(
            attempts=AlertDelivery.attempts + 1,
            next_attempt_at=func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, pause),
        )
        .returning(AlertDelivery.id)
    )
    ids = list(await session.scalars(taken, execution_options={"synchronize_session": False}))
    if not ids:
        return []
    found = await session.execute(
        select(AlertDelivery.id, AlertDelivery.event, Alert)
        .join(Alert, Alert.id == AlertDelivery.alert_id)
        .where(AlertDelivery.id.in_(ids))
        .order_by(AlertDelivery.id)
    )
    return [ToTell(delivery_id, event, alert) for delivery_id, event, alert in found]


async def mark_delivered(session: AsyncSession, delivery_ids: Sequence[str]) -> None:
    told = update(AlertDelivery).where(AlertDelivery.id.in_(delivery_ids))
    await session.execute(told.values(delivered_at=func.clock_timestamp()))


async def undelivered(session: AsyncSession, *, targets: Sequence[str]) -> Undelivered:
    """What today's targets have not taken: while it is tried, and while its alarm is open after that."""
    late = AlertDelivery.attempts >= MOST_ATTEMPTS
    waiting = func.count().filter(~late)
    oldest = func.min(AlertDelivery.created_at).filter(~late)
    given_up = func.count().filter(late, Alert.cleared_at.is_(None), Alert.acknowledged_at.is_(None))
    query = (
        select(waiting, given_up, oldest)
        .select_from(AlertDelivery)
        .join(Alert, Alert.id == AlertDelivery.alert_id)
        .where(AlertDelivery.delivered_at.is_(None), AlertDelivery.target.in_(targets))
    )
    row = (await session.execute(query)).one()
    return Undelivered(row[0], row[1], row[2])


async def open_by_severity(session: AsyncSession) -> dict[Severity, int]:
    """How many are neither over nor acknowledged."""
    still = (Alert.cleared_at.is_(None), Alert.acknowledged_at.is_(None))
    found = await session.execute(select(Alert.severity, func.count()).where(*still).group_by(Alert.severity))
    return {severity: count for severity, count in found}
