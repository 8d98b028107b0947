"""What people may ask of a running trade. Rows first, in one transaction; the workflow is told afterwards.

So a stop, a change or the kill switch works in the last millisecond and while Temporal is down, and the row says who won.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cache.channels import ArmedStop
from execution.timeline import rupees, tell
from execution.views import armed_stop, is_trailing
from execution.withdraw import supersede_armed
from storage.models import Order, Run
from trading.orders import LIVE_STATES, Leg, OrderState, SupersededFor
from trading.runs import ExitReason, RunState
from trading.sessions import INDIA


@dataclass(frozen=True, slots=True)
class StopTaken:
    """`entry_was_stopped`: the entry had not left and never will. `nothing_open`: there was no run to stop."""

    run_id: str
    workflow_id: str
    trading_day: str
    entry_was_stopped: bool
    already_requested: bool
    square_off: bool


class ChangeRefusal(str, Enum):
    RUN_ENDED = "RUN_ENDED"
    EXIT_HAS_BEGUN = "EXIT_HAS_BEGUN"
    SELL_TIME_PASSED = "SELL_TIME_PASSED"
    SELL_NOT_AFTER_BUY = "SELL_NOT_AFTER_BUY"
    STOP_ABOVE_PRICE = "STOP_ABOVE_PRICE"
    STOP_BELOW_TRAIL = "STOP_BELOW_TRAIL"
    TARGET_BELOW_PRICE = "TARGET_BELOW_PRICE"
    TARGET_BELOW_STOP = "TARGET_BELOW_STOP"


@dataclass(frozen=True, slots=True)
class PlanChangeTaken:
    run_id: str
    workflow_id: str
    sell_at: datetime
    stop_loss: Decimal
    stop_version: int
    target_price: Decimal | None = None
    # What the listener is to watch from now on; None while nothing is held.
    armed: ArmedStop | None = None


@dataclass(frozen=True, slots=True)
class PlanChangeRefused:
    code: ChangeRefusal
    message: str


async def _open_run(session: AsyncSession, run_id: str, user_id: str) -> Run | None:
    query = select(Run).where(Run.id == run_id, Run.user_id == user_id, Run.state != RunState.ENDED).with_for_update()
    return await session.scalar(query)


async def take_stop(
    session: AsyncSession,
    *,
    run_id: str,
    user_id: str,
    square_off: bool,
    requested_by: str,
    now: datetime,
    forced_because: str | None = None,
) -> StopTaken | None:
    """A user's stop: an armed entry never leaves; a position is sold (`square_off`) or left as it is. None: no such open run.

    `forced_because`: it is an administrator's, and the timeline tells the user why. It cannot undo a stop that was there before.
    """
    run = await _open_run(session, run_id, user_id)
    if run is None:
        return None
    already = run.stop_requested_at is not None
    stopped = await supersede_armed_entries(session, run_id=run_id, why=SupersededFor.STOPPED)
    if not already:
        run.stop_requested_at = now
        if square_off:
            want_exit(run, ExitReason.USER_STOP, now)
        else:
            run.leave_open = True
            await supersede_armed_exits(session, run_id=run_id, why=SupersededFor.STOPPED)
        run.updated_by = requested_by
    _tell_stop(session, run, already=already, square_off=square_off, forced_because=forced_because, now=now)
    return StopTaken(run.id, run.workflow_id, run.trading_day.isoformat(), stopped, already, square_off)


def _tell_stop(
    session: AsyncSession, run: Run, *, already: bool, square_off: bool, forced_because: str | None, now: datetime
) -> None:
    what = "sell" if square_off else "keep the position"
    if forced_because is not None:
        asked = "asked to stop as well" if already else f"stopped this run, to {what}"
        tell(session, run, "stop_forced", f"An administrator {asked}: {forced_because}", at=now)
    elif not already:
        tell(session, run, "stop_requested", f"You asked to stop and {what}", at=now)


def want_exit(run: Run, reason: ExitReason, at: datetime) -> bool:
    """Record that the run shall leave. A stronger reason replaces a weaker one; the instant is that of the reason kept."""
    if run.exit_reason is not None and not reason.beats(run.exit_reason):
        return False
    run.exit_reason, run.exit_wanted_at = reason, at
    return True


def leave_because(session: AsyncSession, run: Run, reason: ExitReason, at: datetime, *, trigger: Decimal | None) -> None:
    """As `want_exit`; and the timeline says once that the stop or the target was hit, whoever is the first to know of it."""
    if not want_exit(run, reason, at):
        return
    where = "" if trigger is None else f" at {rupees(trigger)}"
    if reason is ExitReason.STOP_LOSS:
        # A stop that has never moved needs no explanation.
        high = run.highest_price
        trails = "" if high is None else f"; it had followed the price up to {rupees(high)} and stood at {rupees(run.stop_loss)}"
        tell(session, run, "stop_hit", f"Stop-loss hit{where}{trails}", price=trigger, at=at)
    elif reason is ExitReason.TARGET:
        tell(session, run, "target_hit", f"Target reached{where}", price=trigger, at=at)


async def supersede_armed_entries(session: AsyncSession, *, run_id: str, why: SupersededFor) -> bool:
    """Armed entries of the run never leave. False: none was armed, so an entry is out already or was never there."""
    return bool(await supersede_armed(session, [run_id], Leg.ENTRY, why))


async def supersede_armed_exits(session: AsyncSession, *, run_id: str, why: SupersededFor) -> bool:
    return bool(await supersede_armed(session, [run_id], Leg.EXIT, why))


async def take_plan_change(
    session: AsyncSession,
    *,
    run_id: str,
    user_id: str,
    sell_at: datetime | None,
    stop_loss: Decimal | None,
    now: datetime,
    last_price: Decimal | None = None,
    target_price: Decimal | None = None,
) -> PlanChangeTaken | PlanChangeRefused:
    """Move the sell time, the stop or the target of an open run, together with the conditions of its armed orders.

    Refused once the exit has begun: then there is nothing left that a new condition could decide.
    """
    run = await _open_run(session, run_id, user_id)
    if run is None:
        return PlanChangeRefused(ChangeRefusal.RUN_ENDED, "the run has ended")
    wanted = _Wanted(sell_at, stop_loss, target_price)
    refusal = await _why_not(session, run, wanted, now=now, last_price=last_price)
    if refusal is not None:
        return refusal
    if sell_at is not None and sell_at != run.sell_at:
        run.sell_at = sell_at
        tell(session, run, "plan_changed", f"Sell time is now {sell_at.astimezone(INDIA):%H:%M:%S}", at=now)
    if stop_loss is not None and stop_loss != run.stop_loss:
        run.stop_loss, run.stop_version = stop_loss, run.stop_version + 1
        tell(session, run, "plan_changed", f"Stop-loss is now {rupees(stop_loss)}", at=now, price=stop_loss)
    if target_price is not None and target_price != run.target_price:
        run.target_price, run.stop_version = target_price, run.stop_version + 1
        tell(session, run, "plan_changed", f"Target is now {rupees(target_price)}", at=now, price=target_price)
    armed = (Order.run_id == run_id, Order.state == OrderState.ARMED)
    resting = (Order.run_id == run_id, Order.state.in_(LIVE_STATES), Order.backup_trigger.is_not(None))
    entry_values = {
        "stop_price": run.stop_loss,
        "stop_version": run.stop_version,
        "target_price": run.target_price,
        "revision": Order.revision + 1,
    }
    exit_values = {**entry_values, "fire_at": run.sell_at}
    moved = update(Order).where(*armed, Order.leg == Leg.EXIT).values(**exit_values).returning(Order.id)
    # One that rests at the broker is at another revision only when the broker is told something.
    kept = update(Order).where(*resting).values(**{**exit_values, "revision": Order.revision}).returning(Order.id)
    is_covered = [(await session.execute(change)).first() for change in (moved, kept)] != [None, None]
    await session.execute(update(Order).where(*armed, Order.leg == Leg.ENTRY).values(**entry_values))
    watch = armed_stop(run, armed_at=now) if is_covered else None
    return PlanChangeTaken(run.id, run.workflow_id, run.sell_at, run.stop_loss, run.stop_version, run.target_price, watch)


@dataclass(frozen=True, slots=True)
class _Wanted:
    sell_at: datetime | None
    stop_loss: Decimal | None
    target_price: Decimal | None


async def _why_not(
    session: AsyncSession, run: Run, wanted: _Wanted, *, now: datetime, last_price: Decimal | None
) -> PlanChangeRefused | None:
    sell_at = wanted.sell_at
    out = select(Order.id).where(
        Order.run_id == run.id,
        Order.leg == Leg.EXIT,
        Order.state.not_in([OrderState.ARMED, OrderState.SUPERSEDED]),
        Order.backup_trigger.is_(None),
    )
    if run.exit_wanted_at is not None or run.leave_open or (await session.execute(out.limit(1))).first() is not None:
        return PlanChangeRefused(ChangeRefusal.EXIT_HAS_BEGUN, "the exit has begun; nothing can be changed any more")
    if sell_at is not None and sell_at <= now:
        return PlanChangeRefused(ChangeRefusal.SELL_TIME_PASSED, "the new sell time has passed already")
    if sell_at is not None and sell_at <= run.buy_at:
        return PlanChangeRefused(ChangeRefusal.SELL_NOT_AFTER_BUY, "the new sell time is not after the buy time")
    return _why_not_at(run, wanted, last_price)


def _why_not_at(run: Run, wanted: _Wanted, last_price: Decimal | None) -> PlanChangeRefused | None:
    """Why these prices cannot stand for the run. `last_price` None: nobody knows it."""
    if wanted.stop_loss is None and wanted.target_price is None:
        return None
    held_at = last_price if run.bought else None
    stop, target = wanted.stop_loss, wanted.target_price
    if stop is not None and held_at is not None and stop >= held_at:
        message = f"the new stop {rupees(stop)} is not below the last price {rupees(held_at)}; stop the strategy to sell now"
        return PlanChangeRefused(ChangeRefusal.STOP_ABOVE_PRICE, message)
    if stop is not None and run.bought and is_trailing(run) and stop < run.stop_loss:
        message = f"the stop follows the price, stands at {rupees(run.stop_loss)} and is never lowered"
        return PlanChangeRefused(ChangeRefusal.STOP_BELOW_TRAIL, message)
    if target is not None and held_at is not None and target <= held_at:
        message = f"the new target {rupees(target)} is not above the last price {rupees(held_at)}; stop the strategy to sell now"
        return PlanChangeRefused(ChangeRefusal.TARGET_BELOW_PRICE, message)
    stop = run.stop_loss if stop is None else stop
    target = run.target_price if target is None else target
    if target is not None and target <= stop:
        message = f"the target {rupees(target)} would not be above the stop {rupees(stop)}"
        return PlanChangeRefused(ChangeRefusal.TARGET_BELOW_STOP, message)
    return None
