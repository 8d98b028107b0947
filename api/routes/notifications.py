"""Whom a user wants told of their alarms: targets with quiet hours and a test button. Devices: `api/routes/devices.py`."""

import asyncio

from fastapi import APIRouter, Depends

from api.declared import BODY, IDEMPOTENT, SIGNED_IN, errors
from api.deps import CurrentCaller, Platform, TargetId, idempotency_key
from api.errors import ApiError, ErrorCode
from api.idempotency import IdempotentRoute
from api.routes.tags import NOTIFICATIONS
from api.schemas.broker import Deleted
from api.schemas.notifications import ChangeTarget, NewTarget, TargetAnswer, Targets, TestAnswer
from runtime.alarm_words import Message
from runtime.user_targets import TargetNotAllowed
from storage.ids import new_id
from storage.models import NotificationTarget
from storage.repositories import audit, notifications
from trading.ports.sealing import SealBroken

router = APIRouter(
    prefix="/notifications", tags=[NOTIFICATIONS], route_class=IdempotentRoute, dependencies=[Depends(idempotency_key)]
)
reading = APIRouter(prefix="/notifications", tags=[NOTIFICATIONS])

MOST_TARGETS = 10
TEST_MESSAGE = Message("Test", "This is how alarms of your trading platform arrive here.", None)


@reading.get("/targets", operation_id="listNotificationTargets", responses=errors(SIGNED_IN))
async def list_targets(caller: CurrentCaller, platform: Platform) -> Targets:
    """The user's own targets, oldest first, without their addresses."""
    async with platform.database.transaction() as session:
        rows = await notifications.targets_of(session, user_id=caller.user_id)
    return Targets(items=[_target(row) for row in rows])


@router.post(
    "/targets",
    operation_id="addNotificationTarget",
    status_code=201,
    responses=errors(SIGNED_IN, BODY, IDEMPOTENT, ErrorCode.TARGET_NOT_ALLOWED, ErrorCode.TOO_MANY_TARGETS),
)
async def add_target(body: NewTarget, caller: CurrentCaller, platform: Platform) -> TargetAnswer:
    """Alarms of the user's own accounts and runs that begin from now on are told there, beginning and end."""
    now = platform.clock.now()
    target = NotificationTarget(
        id=new_id(NotificationTarget.id_prefix),
        user_id=caller.user_id,
        label=body.label,
        quiet_from=body.quiet_from,
        quiet_to=body.quiet_to,
        created_by=caller.user_id,
    )
    try:
        # Reading the first address loads the library that knows them all, which takes a while.
        await asyncio.to_thread(platform.user_targets.seal, target, body.address.get_secret_value())
    except TargetNotAllowed as error:
        raise ApiError(ErrorCode.TARGET_NOT_ALLOWED, str(error)) from error
    async with platform.database.transaction() as session:
        await notifications.lock_of(session, user_id=caller.user_id)
        if len(await notifications.targets_of(session, user_id=caller.user_id)) >= MOST_TARGETS:
            raise ApiError(ErrorCode.TOO_MANY_TARGETS)
        session.add(target)
        await session.flush()
        await audit.append(
            session, actor_id=caller.user_id, action="target.add", subject_id=target.id, now=now, target_kind=target.kind
        )
        await session.refresh(target)
    return _target(target)


@router.patch(
    "/targets/{target_id}",
    operation_id="changeNotificationTarget",
    responses=errors(SIGNED_IN, BODY, IDEMPOTENT, ErrorCode.TARGET_NOT_FOUND),
)
async def change_target(body: ChangeTarget, target_id: TargetId, caller: CurrentCaller, platform: Platform) -> TargetAnswer:
    """Its label, its quiet hours, or both."""
    async with platform.database.transaction() as session:
        target = _found(await notifications.find_target(session, target_id=target_id, user_id=caller.user_id))
        body.change(target)
        target.updated_by = caller.user_id
    return _target(target)


@router.delete(
    "/targets/{target_id}",
    operation_id="removeNotificationTarget",
    responses=errors(SIGNED_IN, IDEMPOTENT, ErrorCode.TARGET_NOT_FOUND),
)
async def remove_target(target_id: TargetId, caller: CurrentCaller, platform: Platform) -> Deleted:
    """Nothing is told there any more; its address is wiped."""
    now = platform.clock.now()
    async with platform.database.transaction() as session:
        target = _found(await notifications.find_target(session, target_id=target_id, user_id=caller.user_id))
        target.deleted_at, target.deleted_by, target.sealed_address = now, caller.user_id, ""
        await audit.append(session, actor_id=caller.user_id, action="target.remove", subject_id=target_id, now=now)
    return Deleted(id=target_id)


@router.post(
    "/targets/{target_id}/test",
    operation_id="testNotificationTarget",
    responses=errors(SIGNED_IN, IDEMPOTENT, ErrorCode.TARGET_NOT_FOUND, ErrorCode.TARGET_NOT_ALLOWED),
)
async def test_target(target_id: TargetId, caller: CurrentCaller, platform: Platform) -> TestAnswer:
    """Send one message now, also in quiet hours; three times a minute at most."""
    async with platform.database.transaction() as session:
        target = _found(await notifications.find_target(session, target_id=target_id, user_id=caller.user_id))
    await platform.throttle.test_message(caller.user_id)
    try:
        opened = await asyncio.to_thread(platform.user_targets.open, target)
    except TargetNotAllowed as error:
        raise ApiError(ErrorCode.TARGET_NOT_ALLOWED, str(error)) from error
    except SealBroken as error:
        raise ApiError(ErrorCode.TARGET_NOT_ALLOWED, "the stored address cannot be opened here; add it again") from error
    well = await opened.tell(TEST_MESSAGE)
    async with platform.database.transaction() as session:
        await notifications.note_told(session, target, well=well, now=platform.clock.now())
    return TestAnswer(target_id=target_id, delivered=well)


def _found(target: NotificationTarget | None) -> NotificationTarget:
    if target is None:
        raise ApiError(ErrorCode.TARGET_NOT_FOUND)
    return target


def _target(row: NotificationTarget) -> TargetAnswer:
    return TargetAnswer(
        target_id=row.id,
        kind=row.kind,
        label=row.label,
        quiet_from=row.quiet_from,
        quiet_to=row.quiet_to,
        told_at=row.told_at,
        told_well=row.told_well,
        created_at=row.created_at,
    )
