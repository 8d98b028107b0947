"""The kill switch: a row that every claim of an entry looks at. Engaging it twice is a no-op; only a person releases it."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from activities.messages import StopRequested
from api import notify
from api.deps import Caller
from api.errors import ApiError, ErrorCode
from api.services import Services
from execution.commands import supersede_armed_entries, want_exit
from execution.timeline import tell
from storage.models import KillScope, KillSwitch, Role, Run
from storage.repositories import accounts, audit, safety, strategies
from trading.orders import SupersededFor
from trading.runs import ExitReason
from workflows.names import STOP_REQUESTED


@dataclass(frozen=True, slots=True)
class Engaged:
    switch: KillSwitch
    runs: int


async def engage(
    services: Services, caller: Caller, *, scope: KillScope, scope_id: str | None, square_off: bool, reason: str
) -> Engaged:
    """Stops every entry in the scope, and leaves every position in it if `square_off`."""
    now = services.clock.now()
    async with services.database.transaction() as session:
        target = await _target(session, caller, scope, scope_id)
        switch = await safety.engage(
            session, scope=scope, scope_id=target, square_off=square_off, reason=reason, by=caller.user_id, now=now
        )
        runs = await _runs(session, caller, scope, target)
        for run in runs:
            await _stop_run(session, run, square_off=square_off, services=services)
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
    await _tell(services, runs, square_off=square_off)
    return Engaged(switch, len(runs))


async def release(services: Services, caller: Caller, *, scope: KillScope, scope_id: str | None) -> KillSwitch:
    """Entries may be made again. What was sold stays sold. Raises ApiError KILL_SWITCH_NOT_ENGAGED."""
    now = services.clock.now()
    async with services.database.transaction() as session:
        target = await _target(session, caller, scope, scope_id)
        switch = await safety.release(session, scope=scope, scope_id=target, by=caller.user_id, now=now)
        if switch is None:
            raise ApiError(ErrorCode.KILL_SWITCH_NOT_ENGAGED)
        await audit.append(
            session,
            actor_id=caller.user_id,
            action="kill_switch.release",
            subject_id=target or None,
            now=now,
            scope=scope.value,
        )
    return switch


async def _target(session: AsyncSession, caller: Caller, scope: KillScope, scope_id: str | None) -> str:
    """What the switch is about, if the caller may touch it."""
    match scope:
        case KillScope.PLATFORM:
            if caller.role is not Role.ADMIN:
                raise ApiError(ErrorCode.FORBIDDEN)
            return ""
        case KillScope.USER:
            if scope_id not in (None, caller.user_id) and caller.role is not Role.ADMIN:
                raise ApiError(ErrorCode.FORBIDDEN)
            return scope_id or caller.user_id
        case KillScope.ACCOUNT:
            if await accounts.find(session, account_id=scope_id or "", user_id=caller.user_id) is None:
                raise ApiError(ErrorCode.BROKER_NOT_FOUND)
        case KillScope.STRATEGY:
            if await strategies.find(session, strategy_id=scope_id or "", user_id=caller.user_id) is None:
                raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
    return scope_id or ""


async def _runs(session: AsyncSession, caller: Caller, scope: KillScope, target: str) -> list[Run]:
    match scope:
        case KillScope.PLATFORM:
            return list(await strategies.open_runs(session, user_id=None))
        case KillScope.USER:
            return list(await strategies.open_runs(session, user_id=target))
        case KillScope.ACCOUNT:
            return list(await strategies.open_runs(session, user_id=caller.user_id, account_id=target))
        case KillScope.STRATEGY:
            return list(await strategies.open_runs(session, user_id=caller.user_id, strategy_id=target))


async def _stop_run(session: AsyncSession, run: Run, *, square_off: bool, services: Services) -> None:
    now = services.clock.now()
    await supersede_armed_entries(session, run_id=run.id, why=SupersededFor.KILL_SWITCH)
    if square_off:
        if want_exit(run, ExitReason.KILL_SWITCH, now):
            tell(session, run, "kill_switch", "The kill switch was engaged: selling what is held", at=now)
    else:
        tell(session, run, "kill_switch", "The kill switch was engaged: nothing more is bought", at=now)


async def _tell(services: Services, runs: list[Run], *, square_off: bool) -> None:
    for run in runs:
        await notify.strategy_changed(services, strategy_id=run.strategy_id, user_id=run.user_id, account_id=run.account_id)
    # Without square_off the runs go on: their positions keep their stops and sell times.
    if square_off:
        message = StopRequested(square_off=True, requested_by="kill_switch", at=services.clock.now())
        workflows = [run.workflow_id for run in runs]
        await notify.signal_all(services, workflow_ids=workflows, name=STOP_REQUESTED, message=message)
