"""Kill switches and risk limits."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator

from api import killing, switch_report
from api.answers import kill_switch_answer, limits_answer
from api.declared import BODY, IDEMPOTENT, SIGNED_IN, errors
from api.deps import CurrentCaller, Platform, idempotency_key
from api.errors import ApiError, ErrorCode
from api.idempotency import IdempotentRoute
from api.routes.tags import SAFETY
from api.schemas.common import storable
from api.schemas.trading import (
    EngageKillSwitch,
    KillSwitchAnswer,
    KillSwitches,
    RiskLimitsAnswer,
    RiskLimitsList,
    SetRiskLimits,
)
from storage.models import KillScope, Role
from storage.repositories import accounts, audit, safety

router = APIRouter(tags=[SAFETY], route_class=IdempotentRoute, dependencies=[Depends(idempotency_key)])
reading = APIRouter(tags=[SAFETY])

_SCOPE = (ErrorCode.FORBIDDEN, ErrorCode.BROKER_NOT_FOUND, ErrorCode.STRATEGY_NOT_FOUND, ErrorCode.USER_NOT_FOUND)


@router.post("/kill-switch", operation_id="engageKillSwitch", responses=errors(SIGNED_IN, BODY, IDEMPOTENT, _SCOPE))
async def engage(caller: CurrentCaller, platform: Platform, body: EngageKillSwitch | None = None) -> KillSwitchAnswer:
    """Stop everything in the scope now: no entry leaves any more, what is held is sold. Pressing it twice is a no-op."""
    wanted = body or EngageKillSwitch()
    engaged = await killing.engage(
        platform,
        caller,
        scope=wanted.scope,
        scope_id=wanted.scope_id,
        square_off=wanted.square_off,
        reason=wanted.reason,
    )
    return kill_switch_answer(engaged.switch, runs_affected=len(engaged.runs))


@router.delete(
    "/kill-switch",
    operation_id="releaseKillSwitch",
    responses=errors(SIGNED_IN, BODY, IDEMPOTENT, _SCOPE, ErrorCode.KILL_SWITCH_NOT_ENGAGED),
)
async def release(
    caller: CurrentCaller,
    platform: Platform,
    reason: Annotated[str, AfterValidator(storable), Query(min_length=1, max_length=500, examples=["the price feed is back"])],
    scope: KillScope = KillScope.USER,
    scope_id: Annotated[str | None, AfterValidator(lambda text: text and storable(text)), Query(max_length=40)] = None,
) -> KillSwitchAnswer:
    """Allow entries again, and say why. Runs it has ended stay ended; another switch over the same runs stays as it is."""
    return kill_switch_answer(await killing.release(platform, caller, scope=scope, scope_id=scope_id, reason=reason))


@reading.get("/kill-switch", operation_id="listKillSwitches", responses=errors(SIGNED_IN))
async def list_switches(caller: CurrentCaller, platform: Platform) -> KillSwitches:
    """Every engaged switch that touches the user, and where each of their runs stands under it; for Admins, all of them.

    A run is `flat_verified` once its own fills and the broker's position say so: ask again until it is.
    """
    is_admin = caller.role is Role.ADMIN
    async with platform.database.transaction() as session:
        rows = await (safety.all_engaged(session) if is_admin else safety.engaged_for(session, user_id=caller.user_id))
    lines = [await switch_report.report(platform, switch, user_id=None if is_admin else caller.user_id) for switch in rows]
    return KillSwitches(items=[kill_switch_answer(switch, lines=found) for switch, found in zip(rows, lines, strict=True)])


@reading.get("/risk-limits", operation_id="getRiskLimits", responses=errors(SIGNED_IN))
async def get_limits(caller: CurrentCaller, platform: Platform) -> RiskLimitsList:
    """The limits of each of the user's broker accounts."""
    async with platform.database.transaction() as session:
        owned = await accounts.list_of(session, user_id=caller.user_id)
        limits = await safety.limits_of(session, user_id=caller.user_id)
    return RiskLimitsList(items=[limits_answer(account.id, limits.get(account.id)) for account in owned])


@router.put(
    "/risk-limits",
    operation_id="setRiskLimits",
    responses=errors(
        SIGNED_IN,
        BODY,
        IDEMPOTENT,
        ErrorCode.BROKER_NOT_FOUND,
        ErrorCode.BROKER_NOT_CONNECTED,
        ErrorCode.BROKER_CHOICE_NEEDED,
    ),
)
async def set_limits(body: SetRiskLimits, caller: CurrentCaller, platform: Platform) -> RiskLimitsAnswer:
    """Replace the limits of one account. Entries that would break one are not sent; exits always are."""
    values = body.model_dump(exclude={"broker_id"})
    async with platform.database.transaction() as session:
        owned = await accounts.list_of(session, user_id=caller.user_id)
        account_id = _which([account.id for account in owned], body.broker_id)
        limits = await safety.set_limits(session, account_id=account_id, user_id=caller.user_id, values=values)
        noted = {name: None if value is None else str(value) for name, value in values.items()}
        await audit.append(
            session,
            actor_id=caller.user_id,
            action="risk_limits.set",
            subject_id=account_id,
            now=platform.clock.now(),
            **noted,
        )
    return limits_answer(account_id, limits)


def _which(owned: list[str], wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in owned:
            raise ApiError(ErrorCode.BROKER_NOT_FOUND)
        return wanted
    if not owned:
        raise ApiError(ErrorCode.BROKER_NOT_CONNECTED)
    if len(owned) > 1:
        raise ApiError(ErrorCode.BROKER_CHOICE_NEEDED)
    return owned[0]
