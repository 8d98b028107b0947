"""Stopping and changing what runs: rows first, then everybody is told. Works while Temporal and Redis are away."""

from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal

from activities.messages import ChangePlan, StopRequested
from api import notify
from api.deps import Caller
from api.errors import ApiError, ErrorCode
from api.plans import hot_price, listed_instrument, refusal
from api.services import Services
from execution.commands import PlanChangeRefused, PlanChangeTaken, StopTaken, take_plan_change, take_stop
from storage.models import Run
from storage.repositories import audit, strategies
from trading.instruments import InstrumentId
from trading.plan import stop_problem
from trading.sessions import instant, session_of
from workflows.names import CHANGE_PLAN, STOP_REQUESTED


@dataclass(frozen=True, slots=True)
class Stopped:
    """`run` as it is after the stop was taken."""

    taken: StopTaken
    run: Run


@dataclass(frozen=True, slots=True)
class Changed:
    taken: PlanChangeTaken
    workflow_told: bool


async def stop(services: Services, caller: Caller, *, strategy_id: str, square_off: bool) -> Stopped:
    """Raises ApiError STRATEGY_NOT_FOUND, NOT_RUNNING."""
    run = await _open_run(services, caller, strategy_id)
    now = services.clock.now()
    async with services.database.transaction() as session:
        taken = await take_stop(
            session, run_id=run.id, user_id=caller.user_id, square_off=square_off, requested_by=caller.user_id, now=now
        )
        if taken is None:
            raise ApiError(ErrorCode.NOT_RUNNING)
        await audit.append(
            session,
            actor_id=caller.user_id,
            action="strategy.stop",
            subject_id=strategy_id,
            now=now,
            run_id=run.id,
            square_off=square_off,
        )
    await _tell_stop(services, taken, strategy_id=strategy_id, user_id=caller.user_id, run=run, at=now)
    return Stopped(taken, await _as_it_is(services, caller, run.id))


async def _open_run(services: Services, caller: Caller, strategy_id: str) -> Run:
    async with services.database.transaction() as session:
        if await strategies.find(session, strategy_id=strategy_id, user_id=caller.user_id) is None:
            raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
        run = await strategies.open_run(session, strategy_id=strategy_id, user_id=caller.user_id)
    if run is None:
        raise ApiError(ErrorCode.NOT_RUNNING)
    return run


async def _tell_stop(services: Services, taken: StopTaken, *, strategy_id: str, user_id: str, run: Run, at: datetime) -> None:
    await notify.strategy_changed(services, strategy_id=strategy_id, user_id=user_id, account_id=run.account_id)
    message = StopRequested(square_off=taken.square_off, requested_by=user_id, at=at)
    await notify.signal(services, workflow_id=taken.workflow_id, name=STOP_REQUESTED, message=message)


async def _as_it_is(services: Services, caller: Caller, run_id: str) -> Run:
    async with services.database.transaction() as session:
        run = await strategies.find_run(session, run_id=run_id, user_id=caller.user_id)
    if run is None:
        raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
    return run


async def change(
    services: Services, caller: Caller, *, strategy_id: str, stop_loss: Decimal | None, sell_time: time | None
) -> Changed:
    """Raises ApiError for every reason why the running trade cannot be changed so."""
    run = await _open_run(services, caller, strategy_id)
    _check_change(services, run, stop_loss=stop_loss, sell_time=sell_time)
    hot = await hot_price(services, InstrumentId(run.exchange, run.symbol))
    now = services.clock.now()
    async with services.database.transaction() as session:
        taken = await take_plan_change(
            session,
            run_id=run.id,
            user_id=caller.user_id,
            sell_at=None if sell_time is None else instant(run.trading_day, sell_time),
            stop_loss=stop_loss,
            now=now,
            last_price=hot.price if hot else None,
        )
        if isinstance(taken, PlanChangeRefused):
            raise ApiError(ErrorCode(taken.code.value), taken.message)
        await audit.append(
            session,
            actor_id=caller.user_id,
            action="strategy.change_running",
            subject_id=strategy_id,
            now=now,
            run_id=run.id,
            stop_loss=None if stop_loss is None else str(stop_loss),
            sell_time=None if sell_time is None else sell_time.isoformat(),
        )
    await notify.stop_moved(services, taken.armed)
    await notify.strategy_changed(services, strategy_id=strategy_id, user_id=caller.user_id, account_id=run.account_id)
    return Changed(taken, await _tell_change(services, taken))


def _check_change(services: Services, run: Run, *, stop_loss: Decimal | None, sell_time: time | None) -> None:
    instrument = listed_instrument(services, InstrumentId(run.exchange, run.symbol))
    problem = None if stop_loss is None else stop_problem(stop_loss, instrument.tick_size)
    if problem is not None:
        raise refusal((problem,))
    exchange_day = services.calendar.day(run.trading_day)
    if sell_time is not None and exchange_day is not None:
        latest = session_of(instrument, exchange_day).last_safe_exit
        if sell_time > latest:
            raise ApiError(ErrorCode.SELL_AFTER_CLOSE, f"sell_time must not be after the last safe moment at {latest}")


async def _tell_change(services: Services, taken: PlanChangeTaken) -> bool:
    message = ChangePlan(sell_at=taken.sell_at, stop_loss=taken.stop_loss, stop_version=taken.stop_version)
    return await notify.update(services, workflow_id=taken.workflow_id, name=CHANGE_PLAN, message=message)
