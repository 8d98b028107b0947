"""The kill switch on rows, in one transaction: no armed entry of its scope leaves any more, and what is held is sold if asked.

Why nothing armed leaves after the commit: the switch is written first, then the runs are locked, then their armed entries are
withdrawn. A claim that holds such a row makes us wait until it is `sending`; one that comes later finds it locked, and then
withdrawn. An entry armed meanwhile waits for its run's lock, and then sees the switch. What was `sending` already is looked at
once more before its first byte (execution/switchboard.py) and cancelled by the desk if it got through.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from execution.alarms import clear_alarm
from execution.commands import want_exit
from execution.timeline import tell
from execution.withdraw import supersede_armed
from storage.models import KillScope, KillSwitch, Run
from storage.repositories import safety
from trading.orders import Leg, SupersededFor
from trading.runs import ExitReason, RunState


def loss_alarm_key(account_id: str) -> str:
    """The alarm that the daily loss has locked an account; over when a person releases the account's switch."""
    return f"daily-loss:{account_id}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A switch as somebody asks for it. `by`: a user's id, or the name of the part of the platform that tripped it."""

    scope: KillScope
    scope_id: str
    square_off: bool
    reason: str
    by: str
    overrides: bool = False  # an Admin's word about another user: only an Admin takes it back


@dataclass(frozen=True, slots=True)
class Engaged:
    """`runs`: the open runs in the scope, in id order."""

    switch: KillSwitch
    runs: Sequence[Run]


async def engage(session: AsyncSession, wanted: Wanted, *, now: datetime) -> Engaged:
    """Pressing it again changes nothing, except that it can be made stricter."""
    before = await safety.engaged(session, scope=wanted.scope, scope_id=wanted.scope_id)
    sells_already = before is not None and before.square_off
    switch = await safety.engage(
        session,
        scope=wanted.scope,
        scope_id=wanted.scope_id,
        square_off=wanted.square_off,
        reason=wanted.reason,
        by=wanted.by,
        now=now,
        overrides=wanted.overrides,
    )
    runs = await lock_open_runs(session, wanted.scope, wanted.scope_id)
    withdrawn = await supersede_armed(session, [run.id for run in runs], Leg.ENTRY, SupersededFor.KILL_SWITCH)
    for run in runs:
        sells = switch.square_off and not run.leave_open and run.handed_over_at is None
        newly_sold = sells and want_exit(run, ExitReason.KILL_SWITCH, now)
        if before is None or newly_sold or (switch.square_off and not sells_already) or run.id in withdrawn:
            tell(session, run, "kill_switch", _told(switch, run, withdrawn=run.id in withdrawn), at=now)
    return Engaged(switch, runs)


def in_scope(scope: KillScope, scope_id: str) -> list[ColumnElement[bool]]:
    """Conditions on `Run`."""
    match scope:
        case KillScope.PLATFORM:
            return []
        case KillScope.USER:
            return [Run.user_id == scope_id]
        case KillScope.ACCOUNT:
            return [Run.account_id == scope_id]
        case KillScope.STRATEGY:
            return [Run.strategy_id == scope_id]


async def lock_open_runs(session: AsyncSession, scope: KillScope, scope_id: str) -> Sequence[Run]:
    """In id order; as they are now, whatever the session has read before."""
    conditions = [Run.state != RunState.ENDED, *in_scope(scope, scope_id)]
    statement = select(Run).where(*conditions).order_by(Run.id).with_for_update()
    return (await session.scalars(statement.execution_options(populate_existing=True))).all()


def _told(switch: KillSwitch, run: Run, *, withdrawn: bool) -> str:
    why = f" ({switch.reason})" if switch.reason else ""
    held = run.bought - run.sold - run.taken_elsewhere
    if withdrawn:
        what = "the entry that was armed does not leave"
    elif held > 0 and run.handed_over_at is None and not run.leave_open and switch.square_off:
        what = f"selling {held} {run.symbol}"
    elif held > 0:
        what = f"nothing more is bought; the {held} {run.symbol} that are held keep their stop-loss and sell time"
    elif switch.square_off:
        what = "this run ends without buying"
    else:
        what = "nothing is bought while it is on"
    return f"Kill switch of the {switch.scope.value}{why}: {what}"


async def release(
    session: AsyncSession, *, scope: KillScope, scope_id: str, reason: str, by: str, now: datetime
) -> KillSwitch | None:
    """A person allows entries again. None: no such switch is engaged. What was sold stays sold."""
    switch = await safety.release(session, scope=scope, scope_id=scope_id, reason=reason, by=by, now=now)
    if switch is None:
        return None
    conditions = [Run.state != RunState.ENDED, *in_scope(scope, scope_id)]
    for run in await session.scalars(select(Run).where(*conditions).order_by(Run.id)):
        tell(session, run, "kill_switch", f"The kill switch of the {scope.value} was released ({reason})", at=now)
    if scope is KillScope.ACCOUNT:
        await clear_alarm(session, loss_alarm_key(scope_id))
    return switch
