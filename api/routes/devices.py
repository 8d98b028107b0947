"""Devices that a user's alarms are pushed to: registered by the apps, quiet when their owner wants it."""

import hashlib

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from api.declared import BODY, IDEMPOTENT, SIGNED_IN, errors
from api.deps import Caller, CurrentCaller, DeviceId, Platform, idempotency_key
from api.errors import ApiError, ErrorCode
from api.idempotency import IdempotentRoute
from api.routes.notifications import TEST_MESSAGE
from api.routes.tags import NOTIFICATIONS
from api.schemas.broker import Deleted
from api.schemas.notifications import ChangeTarget, DeviceAnswer, Devices, DeviceTested, NewDevice
from runtime.push import Pushed
from runtime.user_targets import device_binding, open_device
from storage.ids import new_id
from storage.models import DeviceToken
from storage.repositories import notifications
from trading.ports.sealing import SealBroken

router = APIRouter(
    prefix="/notifications", tags=[NOTIFICATIONS], route_class=IdempotentRoute, dependencies=[Depends(idempotency_key)]
)
reading = APIRouter(prefix="/notifications", tags=[NOTIFICATIONS])

MOST_DEVICES = 10


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
    """Keep a device's push token: alarms that begin from now on are pushed there. The app registers it at every start: the same
    token is one device, which keeps its quiet hours. One that its push service has forgotten disappears from the list."""
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


@router.patch(
    "/devices/{device_id}",
    operation_id="changeDevice",
    responses=errors(SIGNED_IN, BODY, IDEMPOTENT, ErrorCode.DEVICE_NOT_FOUND),
)
async def change_device(body: ChangeTarget, device_id: DeviceId, caller: CurrentCaller, platform: Platform) -> DeviceAnswer:
    """Its label, its quiet hours, or both."""
    async with platform.database.transaction() as session:
        device = await _found(session, device_id, caller)
        body.change(device)
        device.updated_by = caller.user_id
    return _device(device)


@router.post(
    "/devices/{device_id}/test",
    operation_id="testDevice",
    responses=errors(SIGNED_IN, IDEMPOTENT, ErrorCode.DEVICE_NOT_FOUND, ErrorCode.PUSH_NOT_SET_UP),
)
async def test_device(device_id: DeviceId, caller: CurrentCaller, platform: Platform) -> DeviceTested:
    """Push one message now, also in quiet hours; three times a minute at most."""
    async with platform.database.transaction() as session:
        device = await _found(session, device_id, caller)
    if platform.push is None:
        raise ApiError(ErrorCode.PUSH_NOT_SET_UP)
    await platform.throttle.test_message(caller.user_id)
    now = platform.clock.now()
    try:
        outcome = await platform.push.push(open_device(platform.user_targets.sealer, device), TEST_MESSAGE)
    except SealBroken as error:
        raise ApiError(ErrorCode.DEVICE_NOT_FOUND, "the stored token cannot be opened here; register the device again") from error
    async with platform.database.transaction() as session:
        if outcome is Pushed.GONE:
            await notifications.forget_device(session, device, now=now)
        else:
            await notifications.note_told(session, device, well=outcome is Pushed.TAKEN, now=now)
    return DeviceTested(device_id=device_id, delivered=outcome is Pushed.TAKEN)


@router.delete(
    "/devices/{device_id}",
    operation_id="removeDevice",
    responses=errors(SIGNED_IN, IDEMPOTENT, ErrorCode.DEVICE_NOT_FOUND),
)
async def remove_device(device_id: DeviceId, caller: CurrentCaller, platform: Platform) -> Deleted:
    """The app does this when its user logs out; the token is wiped."""
    now = platform.clock.now()
    async with platform.database.transaction() as session:
        device = await _found(session, device_id, caller)
        device.deleted_at, device.deleted_by, device.sealed_token = now, caller.user_id, ""
    return Deleted(id=device_id)


async def _found(session: AsyncSession, device_id: str, caller: Caller) -> DeviceToken:
    device = await notifications.find_device(session, device_id=device_id, user_id=caller.user_id)
    if device is None:
        raise ApiError(ErrorCode.DEVICE_NOT_FOUND)
    return device


def _device(row: DeviceToken) -> DeviceAnswer:
    return DeviceAnswer(
        device_id=row.id,
        platform=row.platform,
        label=row.label,
        quiet_from=row.quiet_from,
        quiet_to=row.quiet_to,
        told_at=row.told_at,
        told_well=row.told_well,
        created_at=row.created_at,
    )
