"""Exits that rest at the broker as stops: what a crossing means while none is armed."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cache.channels import StopCrossed
from execution.commands import leave_because
from execution.rows import lock_run
from execution.views import holding_of
from storage.any_of import any_of
from storage.models import Order, Run
from trading.orders import LIVE_STATES, Leg
from trading.runs import ExitReason, RunState


async def runs_with_backup(session: AsyncSession, run_ids: Sequence[str]) -> list[str]:
    """Those of them whose exit rests at the broker, or died there, and that nobody wants to leave yet."""
    query = (
        select(Run.id)
        .join(Order, Order.run_id == Run.id)
        .where(
            Run.id == any_of(run_ids),
            Run.state != RunState.ENDED,
            Run.exit_wanted_at.is_(None),
            Run.leave_open.is_(False),
            Order.leg == Leg.EXIT,
            Order.backup_trigger.is_not(None),
        )
        .distinct()
        .order_by(Run.id)
    )
    return list(await session.scalars(query))


async def note_hit(session: AsyncSession, hit: StopCrossed) -> None:
    """The run leaves, if what its rows say now is crossed by that price. The planner makes what rests at the broker the exit."""
    locked = await lock_run(session, hit.run_id)
    if locked is None:
        return
    run, orders = locked
    is_leaving = run.exit_wanted_at is not None or run.leave_open or run.handed_over_at is not None
    if is_leaving or holding_of(run).open_quantity <= 0 or not _is_crossed(run, hit):
        return
    leave_because(session, run, hit.reason, hit.at, trigger=hit.price)
    for order in orders:
        if order.backup_trigger is not None and order.state in LIVE_STATES:
            order.reason, order.wanted_at, order.trigger_price = hit.reason, hit.at, hit.price


def _is_crossed(run: Run, hit: StopCrossed) -> bool:
    if hit.reason is ExitReason.TARGET:
        return run.target_price is not None and hit.price >= run.target_price
    return hit.price <= run.stop_loss
