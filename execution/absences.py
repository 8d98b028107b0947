"""Absences: what a healthy book that does not list an order in doubt proves of it, stored for a herd in one transaction.

An exit that is proven absent is followed in the same transaction by the attempt that takes its place: the shares are never
without one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from execution.commands import leave_because
from execution.follow import Followed, cover
from execution.resolve import Absence, BookRead, end_of_day, judge_absence
from execution.rows import lock_free_runs, lock_run
from execution.rush import Rush
from execution.timeline import tell
from execution.together import Together
from storage.database import Database
from storage.models import Order, Run
from trading.orders import IN_DOUBT_STATES, Leg, OrderState
from trading.ports.clock import Clock

# Nobody waits for the run of an exit in doubt, and after a crash some hundred doubts end at the same moment.
AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Missing:
    """A healthy book that was read did not list this order."""

    order_id: str
    run_id: str
    read: BookRead
    settle: timedelta  # between the two reads that prove its absence


@dataclass(frozen=True, slots=True)
class Missed:
    """What was proven, and what it changed."""

    absence: Absence
    followed: Followed


class Absences(Together[Missing, Missed]):
    """One per process. `timeout`: of one request to a broker."""

    def __init__(self, database: Database, clock: Clock, rush: Rush, *, timeout: timedelta) -> None:
        self._clock = clock
        self._timeout = timeout
        super().__init__(
            database,
            rush,
            run_of=lambda missing: missing.run_id,
            store_all=self._record_all,
            store_one=self._record_one,
            at_once=AT_ONCE,
        )

    async def _record_one(self, session: AsyncSession, missing: Missing) -> Missed:
        locked = await lock_run(session, missing.run_id)
        return (await self._record(session, [(missing, locked)]))[0]

    async def _record_all(self, session: AsyncSession, missing: Sequence[Missing]) -> list[Missed | None]:
        """None where the run is locked by somebody else. Raises DBAPIError when somebody holds an order without its run."""
        locked = await lock_free_runs(session, [one.run_id for one in missing])
        taken = [(one, locked[one.run_id]) for one in missing if one.run_id in locked]
        recorded = {one.run_id: missed for (one, _), missed in zip(taken, await self._record(session, taken), strict=True)}
        return [recorded.get(one.run_id) for one in missing]

    async def _record(
        self, session: AsyncSession, taken: Sequence[tuple[Missing, tuple[Run, list[Order]] | None]]
    ) -> list[Missed]:
        recorded = [self._note(session, missing, locked) for missing, locked in taken]
        # An attempt that has just ended must leave the leg before the next one takes it.
        await session.flush()
        for missed, (_, locked) in zip(recorded, taken, strict=True):
            if missed.absence is Absence.PROVEN and locked is not None:
                cover(session, *locked, now=self._clock.now(), followed=missed.followed)
        return recorded

    def _note(self, session: AsyncSession, missing: Missing, locked: tuple[Run, list[Order]] | None) -> Missed:
        run, orders = locked or (None, [])
        order = next((row for row in orders if row.id == missing.order_id), None)
        if run is None or order is None or not _may_be_absent(order):
            return Missed(Absence.TOO_EARLY, Followed(missing.run_id))
        read = missing.read
        absence = judge_absence(
            send_by=order.send_by or read.requested_at,
            missing_since=order.missing_since,
            requested_at=read.requested_at,
            timeout=self._timeout,
            settle=missing.settle,
        )
        if absence is Absence.FIRST_SIGHT:
            order.missing_since = read.requested_at
        if absence is not Absence.PROVEN:
            return Missed(absence, Followed(missing.run_id))
        _give_up(session, run, order, read)
        return Missed(absence, Followed(missing.run_id, changed=True, ended=True))


def _may_be_absent(order: Order) -> bool:
    """Whether it is in doubt still: somebody else may have heard of it since the book was read."""
    return order.state in IN_DOUBT_STATES and order.broker_order_id is None and order.send_by is not None


def _give_up(session: AsyncSession, run: Run, order: Order, read: BookRead) -> None:
    order.state, order.ended_at = OrderState.ABSENT, read.requested_at
    order.revision += 1
    order.watched_until = end_of_day(read.requested_at)
    if order.leg is Leg.EXIT and order.reason is not None and order.wanted_at is not None:
        leave_because(session, run, order.reason, order.wanted_at, trigger=order.trigger_price)
    message = f"The {order.leg.value} order never reached the broker: its book was read twice and does not list it"
    tell(session, run, "order_absent", message, data={"order_id": order.id})
