"""Suspending a user, on rows: no armed entry of theirs leaves any more; positions keep their stop-loss and sell time.

The caller has written the user's state in the same transaction. Why nothing armed leaves after its commit: as in
execution/killing.py, and the claim itself asks whether the user is active.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from execution.timeline import tell
from storage.models import Order, Run
from trading.orders import Leg, OrderState, SupersededFor
from trading.runs import RunState


async def stop_entries(session: AsyncSession, *, user_id: str, now: datetime) -> Sequence[Run]:
    """Withdraw what is armed to buy. The user's open runs, in id order, for whoever tells their desks."""
    open_runs = select(Run).where(Run.user_id == user_id, Run.state != RunState.ENDED).order_by(Run.id).with_for_update()
    runs = (await session.scalars(open_runs.execution_options(populate_existing=True))).all()
    withdraw = (
        update(Order)
        .where(Order.run_id.in_([run.id for run in runs]), Order.leg == Leg.ENTRY, Order.state == OrderState.ARMED)
        .values(state=OrderState.SUPERSEDED, revision=Order.revision + 1, superseded_for=SupersededFor.SUSPENDED)
    )
    await session.execute(withdraw)
    for run in runs:
        tell(session, run, "user_suspended", _told(run), at=now)
    return runs


def _told(run: Run) -> str:
    held = run.bought - run.sold - run.taken_elsewhere
    if held <= 0:
        return "The user was suspended: nothing is bought while this lasts"
    return f"The user was suspended: nothing more is bought; the {held} {run.symbol} that are held keep stop-loss and sell time"
