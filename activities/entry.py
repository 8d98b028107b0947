"""Entering: the row before its moment, and the wait for what becomes of it."""

from datetime import timedelta
from decimal import Decimal

import structlog
from sqlalchemy import update
from temporalio import activity

from activities.messages import ArmEntry, ArmOutcome, Enter, Entered, EntryArmed
from activities.signatures import EntryActivities
from activities.waiting import wait_with_heartbeat
from execution.arming import arm_entry
from execution.floor import Floor
from execution.risk import check_entry
from execution.rows import lock_run
from execution.timeline import tell
from execution.tools import Tools
from execution.views import run_view
from execution.waiting import RunWatch
from storage.models import BrokerAccount, Order, Run
from trading.instruments import InstrumentId
from trading.next_step import entry_is_over
from trading.orders import Leg, OrderState
from trading.ports.broker import BrokerError, SessionExpired
from trading.runs import RunState
from trading.sessions import INDIA

_log = structlog.get_logger()

# With the head start on the desk fires by itself; only an entry that is still armed this long after its instant is asked for.
DESK_GRACE = timedelta(milliseconds=300)


# An entry armed later than this after its instant missed it: the platform was down, or Temporal was.
MISSED_BY = timedelta(seconds=2)


class DeskEntryActivities(EntryActivities):
    def __init__(self, *, tools: Tools, floor: Floor, watch: RunWatch) -> None:
        self._tools = tools
        self._floor = floor
        self._watch = watch

    @activity.defn
    async def arm_entry(self, request: ArmEntry) -> EntryArmed:
        last_price = await self._warm_up(request.run_id)
        async with self._tools.database.transaction() as session:
            locked = await lock_run(session, request.run_id)
            if locked is None:
                return EntryArmed(ArmOutcome.DENIED, "RUN_NOT_FOUND", "the run is gone")
            run, orders = locked
            if any(order.leg is Leg.ENTRY for order in orders):
                return EntryArmed(ArmOutcome.ARMED)
            if run.state is RunState.ENDED or run.stop_requested_at is not None or run.exit_wanted_at is not None:
                return EntryArmed(ArmOutcome.NOT_WANTED)
            account = await session.get(BrokerAccount, run.account_id)
            denied = await check_entry(
                session,
                run,
                account,
                now=self._tools.clock.now(),
                last_price=last_price,
                defaults=self._tools.default_limits,
            )
            if denied is not None:
                tell(session, run, "denied", f"Not bought: {denied.message}")
                return EntryArmed(ArmOutcome.DENIED, denied.code, denied.message)
            order = arm_entry(
                session, run, attempt=1, quantity=run.quantity, fire_at=request.fire_at, deadline_at=request.deadline_at
            )
            # What it may cost counts as open from now on: the next entry of this account is armed beside it.
            order.reference_price = last_price
            run.state = RunState.ENTERING
            tell(session, run, "entry_armed", _armed_words(request))
        self._floor.put_armed(order)
        self._floor.mark(request.run_id)
        if not await self._floor.take(order.account_id):
            await self._tools.notices.account(order.account_id)
        return EntryArmed(ArmOutcome.ARMED)

    async def _warm_up(self, run_id: str) -> Decimal | None:
        """Open connections ahead of the moment and see whether there is a price; neither may fail the entry."""
        async with self._tools.database.transaction() as session:
            run = await session.get(Run, run_id)
        if run is None:
            return None
        await self._floor.take(run.account_id)
        desk = self._floor.desks.get(run.account_id)
        if desk is None or desk.broker is None:
            return None
        instrument = InstrumentId(run.exchange, run.symbol)
        try:
            await desk.broker.warm(2)
            return (await self._tools.prices.of({instrument: desk.broker})).get(instrument)
        except (BrokerError, SessionExpired, OSError) as error:
            _log.warning("warm_up_failed", run_id=run_id, error=str(error))
            return None

    @activity.defn
    async def enter(self, request: Enter) -> Entered:
        grace = DESK_GRACE if self._tools.pace.head_start else timedelta(0)

        def is_over(run: Run, orders: list[Order]) -> Entered | None:
            if not entry_is_over(run_view(run, orders), self._tools.clock.now()):
                return None
            average = run.buy_value / run.bought if run.bought else None
            return Entered(run.bought, average, run.entry_late_ms)

        entered = await self._watch.until(request.run_id, is_over, timeout=grace.total_seconds()) if grace else None
        if entered is None:
            await self._ask_for_it(request.run_id)
            entered = await wait_with_heartbeat(self._watch, request.run_id, is_over)
        return entered

    async def _ask_for_it(self, run_id: str) -> None:
        """Mark an armed entry as wanted now: whoever runs the desk sends it. Does nothing if it is out already."""
        wanted = (
            update(Order)
            .where(Order.run_id == run_id, Order.leg == Leg.ENTRY, Order.state == OrderState.ARMED, Order.wanted_at.is_(None))
            .values(wanted_at=self._tools.clock.now(), revision=Order.revision + 1)
            .returning(Order.account_id)
        )
        async with self._tools.database.transaction() as session:
            account_id = (await session.execute(wanted)).scalar_one_or_none()
        if account_id is None:
            return
        self._floor.mark(run_id)
        if not await self._floor.take(account_id):
            await self._tools.notices.account(account_id)


def _armed_words(request: ArmEntry) -> str:
    moment = f"{request.fire_at.astimezone(INDIA):%H:%M:%S}"
    late = request.at - request.fire_at
    if late < MISSED_BY:
        return f"Entry armed for {moment}"
    return f"Buying now, {late.total_seconds():.0f} s late: the platform was not up at {moment}"
