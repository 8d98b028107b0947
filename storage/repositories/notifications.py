"""Users' own targets and devices, and what of their alarms they have not been told yet."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TypeVar

from sqlalchemy import ColumnElement, and_, exists, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import Alert, AlertDelivery, AlertEvent, DeviceToken, NotificationTarget, User, UserState
from storage.repositories.alerts import MOST_ATTEMPTS, STALE_AFTER

Recipient = TypeVar("Recipient", NotificationTarget, DeviceToken)


async def targets_of(session: AsyncSession, *, user_id: str) -> Sequence[NotificationTarget]:
    """Oldest first."""
    mine = select(NotificationTarget).where(NotificationTarget.user_id == user_id, NotificationTarget.deleted_at.is_(None))
    return (await session.scalars(mine.order_by(NotificationTarget.id))).all()


async def find_target(session: AsyncSession, *, target_id: str, user_id: str) -> NotificationTarget | None:
    """Locked until the transaction ends."""
    mine = select(NotificationTarget).where(
        NotificationTarget.id == target_id, NotificationTarget.user_id == user_id, NotificationTarget.deleted_at.is_(None)
    )
    return await session.scalar(mine.with_for_update())


async def lock_of(session: AsyncSession, *, user_id: str) -> None:
    """One after the other for one user, so that two additions at once cannot pass the same count."""
    await session.execute(select(User.id).where(User.id == user_id).with_for_update())


async def devices_of(session: AsyncSession, *, user_id: str) -> Sequence[DeviceToken]:
    mine = select(DeviceToken).where(DeviceToken.user_id == user_id, DeviceToken.deleted_at.is_(None))
    return (await session.scalars(mine.order_by(DeviceToken.id))).all()


async def find_device(session: AsyncSession, *, device_id: str, user_id: str) -> DeviceToken | None:
    mine = select(DeviceToken).where(
        DeviceToken.id == device_id, DeviceToken.user_id == user_id, DeviceToken.deleted_at.is_(None)
    )
    return await session.scalar(mine.with_for_update())


async def device_with(session: AsyncSession, *, token_hash: str) -> DeviceToken | None:
    """Whoever it belongs to: a phone may change its owner."""
    known = select(DeviceToken).where(DeviceToken.token_hash == token_hash, DeviceToken.deleted_at.is_(None))
    return await session.scalar(known.with_for_update())


@dataclass(frozen=True, slots=True)
class Quiet:
    """Of whom it is quiet now: by the Indian time of day `at` (as `trading.quiet_hours` has it), only alarms of these kinds are
    news."""

    at: time
    kinds: Collection[str]

    def lets_through(self, told: type[NotificationTarget] | type[DeviceToken]) -> ColumnElement[bool]:
        begins, ends = told.quiet_from, told.quiet_to
        after, before = begins <= literal(self.at), literal(self.at) < ends
        covered = or_(and_(begins <= ends, after, before), and_(begins > ends, or_(after, before)))
        return or_(Alert.kind.in_(self.kinds), ~func.coalesce(covered, False))


async def with_news(session: AsyncSession, told: type[Recipient], *, most: int, quiet: Quiet) -> Sequence[Recipient]:
    """Targets or devices of active users for which something begun or ended is to be enlisted, or a message is due. Whoever is
    quiet and has nothing else is left out: were they taken up, those behind them would wait."""
    may_hear = quiet.lets_through(told)
    delivery = and_(AlertDelivery.alert_id == Alert.id, AlertDelivery.target == told.id)
    begun = and_(delivery, AlertDelivery.event == AlertEvent.RAISED)
    ended = and_(delivery, AlertDelivery.event == AlertEvent.CLEARED)
    lately = Alert.cleared_at > func.clock_timestamp() - STALE_AFTER
    is_open = and_(Alert.cleared_at.is_(None), Alert.acknowledged_at.is_(None))
    to_begin = and_(or_(is_open, lately), ~exists(select(AlertDelivery.id).where(begun)))
    was_told = exists(select(AlertDelivery.id).where(begun, AlertDelivery.delivered_at.is_not(None)))
    to_end = and_(
        Alert.cleared_at > func.clock_timestamp() - timedelta(days=1),
        was_told,
        ~exists(select(AlertDelivery.id).where(ended)),
    )
    news = exists(
        select(Alert.id).where(Alert.user_id == told.user_id, Alert.raised_at >= told.created_at, may_hear, or_(to_begin, to_end))
    )
    due = exists(
        select(AlertDelivery.id)
        .join(Alert, Alert.id == AlertDelivery.alert_id)
        .where(
            may_hear,
            AlertDelivery.target == told.id,
            AlertDelivery.delivered_at.is_(None),
            AlertDelivery.attempts < MOST_ATTEMPTS,
            AlertDelivery.next_attempt_at <= func.clock_timestamp(),
        )
    )
    active = (User.state == UserState.ACTIVE, User.deleted_at.is_(None))
    statement = (
        select(told)
        .join(User, User.id == told.user_id)
        .where(told.deleted_at.is_(None), *active, or_(news, due))
        .order_by(told.id)
        .limit(most)
    )
    return (await session.scalars(statement)).all()


async def note_told(session: AsyncSession, recipient: NotificationTarget | DeviceToken, *, well: bool, now: datetime) -> None:
    kind = type(recipient)
    await session.execute(update(kind).where(kind.id == recipient.id).values(told_at=now, told_well=well))


async def forget_device(session: AsyncSession, device: DeviceToken, *, now: datetime) -> None:
    """Its push service says that it is gone: the token is wiped. Registered again meanwhile, it is another row."""
    gone = {"deleted_at": now, "deleted_by": "push-service", "sealed_token": ""}
    await session.execute(update(DeviceToken).where(DeviceToken.id == device.id, DeviceToken.deleted_at.is_(None)).values(gone))
