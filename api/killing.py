"""The kill switch as people press it: whose it is, the rows in one transaction, then telling everybody.

Rows decide; telling is best effort and bounded in time. A workflow that is not told hears it from the guard, a desk that is not
told reads it within a second.
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from activities.messages import StopRequested
from api import notify
from api.deps import Caller
from api.errors import ApiError, ErrorCode
from api.services import Services
from execution import killing
from execution.killing import Engaged, Wanted
from storage.models import KillScope, KillSwitch, Role, Run, User
from storage.repositories import accounts, audit, safety, strategies
from trading.runs import ExitReason
from workflows.names import STOP_REQUESTED


async def engage(
    services: Services, caller: Caller, *, scope: KillScope, scope_id: str | None, square_off: bool, reason: str
) -> Engaged:
    """Stops every entry in the scope, and leaves every position in it if `square_off`."""
    now = services.clock.now()
    async with services.database.transaction() as session:
        target = await _target(session, caller, scope, scope_id)
        overrides = scope is KillScope.USER and target != caller.user_id
        wanted = Wanted(scope, target, square_off, reason, by=caller.user_id, overrides=overrides)
        engaged = await killing.engage(session, wanted, now=now)
        await audit.append(
            session,
            actor_id=caller.user_id,
            action="kill_switch.engage",
            subject_id=target or None,
            now=now,
            scope=scope.value,
            square_off=square_off,
            reason=reason,
        )
    await _tell(services, engaged.runs, square_off=square_off)
    return engaged


async def release(services: Services, caller: Caller, *, scope: KillScope, scope_id: str | None, reason: str) -> KillSwitch:
    """Entries may be made again. What was sold stays sold. Raises ApiError KILL_SWITCH_NOT_ENGAGED."""
    now = services.clock.now()
    async with services.database.transaction() as session:
        target = await _target(session, caller, scope, scope_id)
        engaged = await safety.engaged(session, scope=scope, scope_id=target)
        if engaged is None:
            raise ApiError(ErrorCode.KILL_SWITCH_NOT_ENGAGED)
        if caller.role is not Role.ADMIN and await _is_an_admins(session, engaged, caller):
            raise ApiError(ErrorCode.FORBIDDEN, "an Admin has engaged it; only an Admin can release it")
        switch = await killing.release(session, scope=scope, scope_id=target, reason=reason, by=caller.user_id, now=now)
        assert switch is not None  # noqa: S101 (its row is locked)
        await audit.append(
            session,
            actor_id=caller.user_id,
            action="kill_switch.release",
            subject_id=target or None,
            now=now,
            scope=scope.value,
            reason=reason,
        )
    return switch


async def _is_an_admins(session: AsyncSession, switch: KillSwitch, caller: Caller) -> bool:
    """Pressed by somebody else, about this user. What the platform tripped by itself is for its user to reset."""
    if switch.scope is not KillScope.USER or switch.engaged_by in (None, caller.user_id):
        return False
    return await session.get(User, switch.engaged_by) is not None


async def _target(session: AsyncSession, caller: Caller, scope: KillScope, scope_id: str | None) -> str:
    """What the switch is about, if the caller may touch it."""
    match scope:
        case KillScope.PLATFORM:
            if caller.role is not Role.ADMIN:
                raise ApiError(ErrorCode.FORBIDDEN)
            return ""
        case KillScope.USER:
            if scope_id in (None, caller.user_id):
                return caller.user_id
            if caller.role is not Role.ADMIN:
                raise ApiError(ErrorCode.FORBIDDEN)
            if await session.get(User, scope_id) is None:
                raise ApiError(ErrorCode.USER_NOT_FOUND)
        case KillScope.ACCOUNT:
            if await accounts.find(session, account_id=scope_id or "", user_id=caller.user_id) is None:
                raise ApiError(ErrorCode.BROKER_NOT_FOUND)
        case KillScope.STRATEGY:
            if await strategies.find(session, strategy_id=scope_id or "", user_id=caller.user_id) is None:
                raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
    return scope_id or ""


async def _tell(services: Services, runs: Sequence[Run], *, square_off: bool) -> None:
    """Desks first: they withhold what is on its way and cancel what works."""
    await notify.runs_changed(services, runs)
    # Without square_off the runs go on: their positions keep their stops and sell times.
    if square_off:
        message = StopRequested(True, "kill_switch", services.clock.now(), ExitReason.KILL_SWITCH)
        workflows = [run.workflow_id for run in runs]
        await notify.signal_all(services, workflow_ids=workflows, name=STOP_REQUESTED, message=message)
