"""Configuration: settings with their origin; maintenance, brokers and features, switched while everything runs."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from sqlalchemy.ext.asyncio import AsyncSession

from api.declared import BODY, IDEMPOTENT, SIGNED_IN, errors
from api.deps import Caller, CurrentCaller, Platform, idempotency_key
from api.errors import ErrorCode
from api.idempotency import IdempotentRoute
from api.routes.tags import ADMIN
from api.schemas.configuration import BrokerSwitch, Configuration, FlagSwitch, SetSwitch, SettingAnswer, SwitchAnswer
from api.services import Services
from runtime.setting_origins import Origin, shown_settings
from storage.repositories import audit, switches
from storage.repositories.switches import Flag, Switch, Switches
from trading.accounts import BrokerName

router = APIRouter(prefix="/admin", tags=[ADMIN], route_class=IdempotentRoute, dependencies=[Depends(idempotency_key)])
reading = APIRouter(prefix="/admin", tags=[ADMIN])

_SET = errors(SIGNED_IN, BODY, IDEMPOTENT, ErrorCode.FORBIDDEN)


@reading.get("/config", operation_id="adminConfig", responses=errors(SIGNED_IN, ErrorCode.FORBIDDEN))
async def get_config(admin: CurrentCaller, platform: Platform) -> Configuration:
    """Every setting with its origin, and every switch. Never a secret."""
    async with platform.database.transaction() as session:
        return _configuration(platform, await switches.load(session))


@router.put("/config/maintenance", operation_id="adminSetMaintenance", responses=_SET)
async def set_maintenance(body: SetSwitch, admin: CurrentCaller, platform: Platform) -> Configuration:
    """Maintenance mode: nothing new is started, by hand or in the morning. What runs goes on, and buys and sells as planned."""
    return await _set(
        platform,
        admin,
        body,
        what="maintenance",
        write=lambda session: switches.set_maintenance(
            session, on=body.on, reason=body.reason, by=admin.user_id, now=platform.clock.now()
        ),
    )


@router.put("/config/brokers/{broker}", operation_id="adminSetBroker", responses=_SET)
async def set_broker(
    broker: Annotated[BrokerName, Path()], body: SetSwitch, admin: CurrentCaller, platform: Platform
) -> Configuration:
    """Switch a broker off or on. Off: nothing new is started there, and runs whose purchase is not armed yet do not buy.

    What is held goes on to be watched and sold.
    """
    return await _set(
        platform,
        admin,
        body,
        what=f"broker.{broker.value}",
        write=lambda session: switches.set_broker(
            session, broker, on=body.on, reason=body.reason, by=admin.user_id, now=platform.clock.now()
        ),
    )


@router.put("/config/flags/{flag}", operation_id="adminSetFlag", responses=_SET)
async def set_flag(flag: Annotated[Flag, Path()], body: SetSwitch, admin: CurrentCaller, platform: Platform) -> Configuration:
    """Switch a feature off or on."""
    return await _set(
        platform,
        admin,
        body,
        what=f"flag.{flag.value}",
        write=lambda session: switches.set_flag(
            session, flag, on=body.on, reason=body.reason, by=admin.user_id, now=platform.clock.now()
        ),
    )


async def _set(
    platform: Services, admin: Caller, body: SetSwitch, *, what: str, write: Callable[[AsyncSession], Awaitable[None]]
) -> Configuration:
    async with platform.database.transaction() as session:
        await write(session)
        await audit.append(
            session,
            actor_id=admin.user_id,
            action=f"config.{what}",
            subject_id=None,
            now=platform.clock.now(),
            on=body.on,
            reason=body.reason,
        )
        return _configuration(platform, await switches.load(session))


def _configuration(platform: Services, found: Switches) -> Configuration:
    supported = platform.accounts.supported()
    brokers = [
        BrokerSwitch(broker=broker, is_supported=broker in supported, **_switch(found.of_broker(broker), untouched=True))
        for broker in BrokerName
    ]
    flags = [
        FlagSwitch(name=flag, description=switches.MEANINGS[flag], **_switch(found.of_flag(flag), untouched=True))
        for flag in Flag
    ]
    return Configuration(
        settings=[
            SettingAnswer(
                name=setting.name,
                value=setting.value,
                origin=setting.origin,
                is_secret=setting.is_secret,
                description=setting.description,
            )
            for setting in shown_settings(platform.settings)
        ],
        maintenance=SwitchAnswer(**_switch(found.used.get(switches.MAINTENANCE), untouched=False)),
        brokers=brokers,
        flags=flags,
    )


def _switch(switch: Switch | None, *, untouched: bool) -> dict[str, object]:
    """`untouched`: how it stands as long as nobody has used it."""
    if switch is None:
        return {"is_on": untouched, "reason": "", "changed_at": None, "changed_by": None, "origin": Origin.DEFAULT}
    return {
        "is_on": switch.is_on,
        "reason": switch.reason,
        "changed_at": switch.changed_at,
        "changed_by": switch.changed_by,
        "origin": Origin.DATABASE,
    }
