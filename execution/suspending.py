"""Suspending a user, on rows: no armed entry of theirs leaves any more; positions keep their stop-loss and sell time.

The caller has written the user's state in the same transaction. Why nothing armed leaves after its commit: as in
execution/killing.py, and the claim itself asks whether the user is active.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from execution.killing import lock_open_runs
from execution.timeline import tell
from execution.withdraw import supersede_armed
from storage.models import KillScope, Run
from trading.orders import Leg, SupersededFor


async def stop_entries(session: AsyncSession, *, user_id: str, now: datetime) -> Sequence[Run]:
    """Withdraw what is armed to buy. The user's open runs, in id order, for whoever tells their desks."""
    runs = await lock_open_runs(session, KillScope.USER, user_id)
    await supersede_armed(session, [run.id for run in runs], Leg.ENTRY, SupersededFor.SUSPENDED)
    for run in runs:
        tell(session, run, "user_suspended", _told(run), at=now)
    return runs


def _told(run: Run) -> str:
    held = run.bought - run.sold - run.taken_elsewhere
    if held <= 0:
        return "The user was suspended: nothing is bought while this lasts"
    return f"The user was suspended: nothing more is bought; the {held} {run.symbol} that are held keep stop-loss and sell time"
