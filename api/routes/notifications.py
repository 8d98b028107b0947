"""Whom a user wants told of their alarms: targets with quiet hours and a test button, and devices for push."""

import asyncio
import hashlib

from fastapi import APIRouter, Depends

from api.declared import BODY, IDEMPOTENT, SIGNED_IN, errors
from api.deps import CurrentCaller, DeviceId, Platform, TargetId, idempotency_key
from api.errors import ApiError, ErrorCode
from api.idempotency import IdempotentRoute
from api.routes.tags import NOTIFICATIONS
from api.schemas.broker import Deleted
from api.schemas.notifications import ChangeTarget, DeviceAnswer, Devices, NewDevice, NewTarget, TargetAnswer, Targets, TestAnswer
from runtime.alarm_words import Message
from runtime.user_targets import TargetNotAllowed, device_binding
from storage.ids import new_id
from storage.models import DeviceToken, NotificationTarget
from storage.repositories import audit, notifications
from trading.ports.sealing import SealBroken

router = APIRouter(
    prefix="/notifications", tags=[NOTIFICATIONS], route_class=IdempotentRoute, dependencies=[Depends(idempotency_key)]
)
reading = APIRouter(prefix="/notifications", tags=[NOTIFICATIONS])

MOST_TARGETS = 10
MOST_DEVICES = 10


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
    """Set its label and its quiet hours."""
    async with platform.database.transaction() as session:
        target = _found(await notifications.find_target(session, target_id=target_id, user_id=caller.user_id))
        target.label, target.quiet_from, target.quiet_to = body.label, body.quiet_from, body.quiet_to
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
    well = await opened.tell(Message("Test", "This is how alarms of your trading platform arrive here.", None))
    async with platform.database.transaction() as session:
        await notifications.note_told(session, target_id=target_id, well=well, now=platform.clock.now())
    return TestAnswer(target_id=target_id, delivered=well)


@reading.get("/devices", operation_id="listDevices", responses=errors(SIGNED_IN))
async def list_devices(caller: CurrentCaller, platform: Platform) -> Devices:
    """The user's registered devices, without their tokens."""
    async with platform.database.transaction() as session:
        rows = await notifications.devices_of(session, user_id=caller.user_id)
    return Devices(items=[_device(row) for row in rows])


@router.post(
    "/devices",
    operation_id="registerDevice",
    status_code=201,
    responses=errors(SIGNED_IN, BODY, IDEMPOTENT, ErrorCode.TOO_MANY_TARGETS),
)
async def register_device(body: NewDevice, caller: CurrentCaller, platform: Platform) -> DeviceAnswer:
    """Keep a device's push token. The app registers it at every start: the same token is one device."""
    now, token = platform.clock.now(), body.token.get_secret_value()
    token_hash = hashlib.sha256(token.encode()).hexdigest()
    async with platform.database.transaction() as session:
        await notifications.lock_of(session, user_id=caller.user_id)
        device = await notifications.device_with(session, token_hash=token_hash)
        if device is not None and device.user_id != caller.user_id:
            device.deleted_at, device.deleted_by, device.sealed_token = now, caller.user_id, ""
            await session.flush()
            device = None
        if device is None:
            if len(await notifications.devices_of(session, user_id=caller.user_id)) >= MOST_DEVICES:
                raise ApiError(ErrorCode.TOO_MANY_TARGETS)
            device = DeviceToken(id=new_id(DeviceToken.id_prefix), user_id=caller.user_id, token_hash=token_hash)
            device.sealed_token = platform.user_targets.sealer.seal(token, bound_to=device_binding(caller.user_id, device.id))
            session.add(device)
        device.platform, device.label = body.platform, body.label
        await session.flush()
        await session.refresh(device)
    return _device(device)


@router.delete(
    "/devices/{device_id}",
    operation_id="removeDevice",
    responses=errors(SIGNED_IN, IDEMPOTENT, ErrorCode.DEVICE_NOT_FOUND),
)
async def remove_device(device_id: DeviceId, caller: CurrentCaller, platform: Platform) -> Deleted:
    """The app does this when its user logs out; the token is wiped."""
    now = platform.clock.now()
    async with platform.database.transaction() as session:
        device = await notifications.find_device(session, device_id=device_id, user_id=caller.user_id)
        if device is None:
            raise ApiError(ErrorCode.DEVICE_NOT_FOUND)
        device.deleted_at, device.deleted_by, device.sealed_token = now, caller.user_id, ""
    return Deleted(id=device_id)


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


def _device(row: DeviceToken) -> DeviceAnswer:
    return DeviceAnswer(device_id=row.id, platform=row.platform, label=row.label, created_at=row.created_at)
