"""Stopping and changing what runs: rows first, then everybody is told. Works while Temporal and Redis are away."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from activities.messages import ChangePlan, StopRequested
from api import notify
from api.deps import Caller
from api.errors import ApiError, ErrorCode
from api.plans import hot_price, listed_instrument, refusal
from api.schemas.strategy import ChangeRunning
from api.services import Services
from execution.commands import PlanChangeRefused, PlanChangeTaken, StopTaken, take_plan_change, take_stop
from storage.models import Run
from storage.repositories import admin_strategies, audit, strategies
from trading.instruments import InstrumentId
from trading.plan import Repeat, stop_problem, target_problem
from trading.runs import StrategyState
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


async def force_stop(services: Services, admin: Caller, *, strategy_id: str, square_off: bool, reason: str) -> Stopped | None:
    """As `stop`, by an administrator, of anybody's strategy; its owner reads the reason.

    None: no run is open, and a strategy that repeats will not be started again. Raises ApiError STRATEGY_NOT_FOUND, NOT_RUNNING.
    """
    now = services.clock.now()
    async with services.database.transaction() as session:
        strategy = await admin_strategies.find(session, strategy_id=strategy_id)
        if strategy is None:
            raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
        owner_id = strategy.user_id
        run = await strategies.open_run(session, strategy_id=strategy_id, user_id=owner_id)
        taken = None
        if run is not None:
            taken = await take_stop(
                session,
                run_id=run.id,
                user_id=owner_id,
                square_off=square_off,
                requested_by=admin.user_id,
                now=now,
                forced_because=reason,
            )
        if taken is None:
            await _keep_from_repeating(session, strategy_id)
        await audit.append(
            session,
            actor_id=admin.user_id,
            action="strategy.force_stop",
            subject_id=strategy_id,
            now=now,
            owner_id=owner_id,
            run_id=taken.run_id if taken else None,
            square_off=square_off,
            reason=reason,
        )
    if run is None or taken is None:
        await notify.strategy_changed(services, strategy_id=strategy_id, user_id=owner_id)
        return None
    await _tell_stop(services, taken, strategy_id=strategy_id, user_id=owner_id, run=run, at=now)
    async with services.database.transaction() as session:
        return Stopped(taken, await strategies.find_run(session, run_id=run.id, user_id=owner_id) or run)


async def _keep_from_repeating(session: AsyncSession, strategy_id: str) -> None:
    """Between two days a repeating strategy has no run, and would have one again tomorrow. Raises ApiError NOT_RUNNING.

    Locked only here: whoever ends a run locks the run first and its strategy after it.
    """
    strategy = await admin_strategies.find_for_update(session, strategy_id=strategy_id)
    if strategy is None:
        raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
    if strategy.repeat is not Repeat.DAILY or strategy.state not in (StrategyState.COMPLETED, StrategyState.FAILED):
        raise ApiError(ErrorCode.NOT_RUNNING)
    strategy.state = StrategyState.STOPPED


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


async def change(services: Services, caller: Caller, *, strategy_id: str, wanted: ChangeRunning) -> Changed:
    """Raises ApiError for every reason why the running trade cannot be changed so."""
    run = await _open_run(services, caller, strategy_id)
    _check_change(services, run, wanted)
    stop_loss, target_price, sell_time = wanted.stop_loss, wanted.target_price, wanted.sell_time
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
            target_price=target_price,
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
            target_price=None if target_price is None else str(target_price),
            sell_time=None if sell_time is None else sell_time.isoformat(),
        )
    await notify.stop_moved(services, taken.armed)
    await notify.strategy_changed(services, strategy_id=strategy_id, user_id=caller.user_id, account_id=run.account_id)
    return Changed(taken, await _tell_change(services, taken))


def _check_change(services: Services, run: Run, wanted: ChangeRunning) -> None:
    instrument = listed_instrument(services, InstrumentId(run.exchange, run.symbol))
    problem = None if wanted.stop_loss is None else stop_problem(wanted.stop_loss, instrument.tick_size)
    if problem is None and wanted.target_price is not None:
        # Beside which stop it shall stand is judged under the run's lock.
        problem = target_problem(wanted.target_price, stop_loss=Decimal(0), tick_size=instrument.tick_size)
    if problem is not None:
        raise refusal((problem,))
    sell_time = wanted.sell_time
    exchange_day = services.calendar.day(run.trading_day)
    if sell_time is not None and exchange_day is not None:
        latest = session_of(instrument, exchange_day).last_safe_exit
        if sell_time > latest:
            raise ApiError(ErrorCode.SELL_AFTER_CLOSE, f"sell_time must not be after the last safe moment at {latest}")


async def _tell_change(services: Services, taken: PlanChangeTaken) -> bool:
    message = ChangePlan(sell_at=taken.sell_at, stop_loss=taken.stop_loss, stop_version=taken.stop_version)
    return await notify.update(services, workflow_id=taken.workflow_id, name=CHANGE_PLAN, message=message)
