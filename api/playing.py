"""From what a user wants tried to a row and a workflow. No account is looked at and no order can come of it."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import structlog
from temporalio.common import WorkflowIDReusePolicy

from activities.messages import PlaygroundInput
from api.access import Caller
from api.errors import ApiError, ErrorCode
from api.notify import TEMPORAL_AWAY
from api.plans import refusal
from api.schemas.playground import Backtest, MadeUpDay, PlanToTry, RulesToTry, Simulate, SweepToTry
from api.services import Services
from playground import sample
from playground.setup import (
    MOST_STRATEGY_DAYS,
    MOST_VARIANTS,
    Rules,
    Sweep,
    Variant,
    Wanted,
    instrument_as_json,
    rules_as_json,
    variants,
)
from storage.models import JobKind, PlaygroundData, PlaygroundJob
from storage.repositories import playground, strategies
from trading.instruments import Instrument, InstrumentId, Segment
from trading.plan import Plan, check_plan
from trading.sessions import REGULAR_CLOSE, REGULAR_OPEN, ExchangeDay, session_of, trading_date
from trading.trailing import trail_of
from workflows.names import PLAYGROUND_WORKFLOW, playground_workflow_id

log = structlog.get_logger()

MOST_UNFINISHED = 3
MOST_RESULTS = 200
START_TIMEOUT = timedelta(seconds=5)
# Where the percentage has not become a price of a day yet.
_SOME_STOP = sample.INSTRUMENT.tick_size * 20


async def start_backtest(services: Services, caller: Caller, body: Backtest) -> PlaygroundJob:
    """Raises ApiError."""
    data = await _data(services, caller, body.data_id)
    source = _source(data)
    instrument, is_listed = _instrument(services, source)
    wanted = [await _wanted(services, caller, plan) for plan in body.plans]
    sweep = _sweep(body.sweep)
    if sweep.count() * len(wanted) > MOST_VARIANTS:
        message = f"{sweep.count() * len(wanted)} combinations are more than {MOST_VARIANTS}"
        raise ApiError(ErrorCode.TOO_MANY_COMBINATIONS, message)
    tried = variants(wanted, sweep)
    if not tried:
        raise ApiError(ErrorCode.BUY_NOT_BEFORE_SELL, "every combination buys after it sells, or has its target at its stop")
    for variant in tried:
        _check(variant.plan, instrument)
    days = data.day_count if data else sample.DAYS
    if len(tried) * days > MOST_STRATEGY_DAYS:
        message = f"{len(tried)} plans on {days} days are more than {MOST_STRATEGY_DAYS:,} plan-days"
        raise ApiError(ErrorCode.TOO_MANY_COMBINATIONS, message)
    request = {
        **_assumed(instrument, body.rules, is_listed=is_listed),
        "from_day": None if body.from_day is None else body.from_day.isoformat(),
        "to_day": None if body.to_day is None else body.to_day.isoformat(),
        "variants": [variant.as_json() for variant in tried],
    }
    return await _start(services, caller, JobKind.BACKTEST, body.name, data, request, total=len(tried) * days)


async def start_simulation(services: Services, caller: Caller, body: Simulate) -> PlaygroundJob:
    """Raises ApiError."""
    data = await _data(services, caller, body.data_id)
    wanted = await _wanted(services, caller, body.plan)
    instrument, is_listed = _instrument(services, wanted.plan.instrument if data is None else _source(data))
    _check(wanted.plan, instrument)
    day = body.day or trading_date(services.clock.now())
    if data is not None and not data.first_day <= day <= data.last_day:
        raise ApiError(ErrorCode.NO_SUCH_DAY, f"the prices are of {data.first_day} to {data.last_day}, not of {day}")
    request = {
        **_assumed(instrument, body.rules, is_listed=is_listed),
        "variant": Variant(0, wanted.plan, wanted.stop_percent, wanted.target_percent).as_json(),
        "day": day.isoformat(),
        "speed": body.speed,
        "depth": body.depth,
        "walk": None if data else _walk(body.made_up or MadeUpDay()),
    }
    return await _start(services, caller, JobKind.SIMULATE, body.name, data, request, total=1)


def _walk(made_up: MadeUpDay) -> dict[str, Any]:
    return {"seed": made_up.seed, "start_price": str(made_up.start_price), "step_percent": str(made_up.step_percent)}


async def _data(services: Services, caller: Caller, data_id: str | None) -> PlaygroundData | None:
    if data_id is None:
        return None
    async with services.database.transaction() as session:
        data = await playground.find_data(session, data_id=data_id, user_id=caller.user_id)
    if data is None:
        raise ApiError(ErrorCode.PLAYGROUND_DATA_NOT_FOUND)
    return data


def _source(data: PlaygroundData | None) -> InstrumentId:
    return sample.INSTRUMENT.id if data is None else InstrumentId(data.exchange, data.symbol)


def _instrument(services: Services, wanted: InstrumentId) -> tuple[Instrument, bool]:
    """As it is listed today; what is not listed is taken for a share with the commonest tick, which the result says."""
    listed = services.instruments.find(wanted) if services.instruments.count else None
    if listed is not None:
        return listed, True
    return Instrument(wanted, wanted.symbol, Segment.CASH, sample.INSTRUMENT.tick_size), False


async def _wanted(services: Services, caller: Caller, asked: PlanToTry) -> Wanted:
    if asked.strategy_id is None:
        # The body was refused unless all of these are there.
        assert asked.symbol is not None and asked.quantity is not None  # noqa: PT018, S101
        assert asked.buy_time is not None and asked.sell_time is not None  # noqa: PT018, S101
        instrument = InstrumentId(asked.exchange, asked.symbol)
        stop = asked.stop_loss or _SOME_STOP
        plan = Plan(
            instrument,
            asked.product,
            asked.quantity,
            asked.buy_time,
            asked.sell_time,
            stop,
            target_price=asked.target_price,
            trail=trail_of(asked.trailing_by, asked.trailing_percent),
        )
        return Wanted(plan, asked.stop_loss_percent, asked.target_percent)
    async with services.database.transaction() as session:
        strategy = await strategies.find(session, strategy_id=asked.strategy_id, user_id=caller.user_id)
    if strategy is None:
        raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
    return Wanted(strategies.plan_of(strategy), asked.stop_loss_percent)


def _sweep(asked: SweepToTry) -> Sweep:
    return Sweep(
        tuple(asked.stop_loss),
        tuple(asked.stop_loss_percent),
        tuple(asked.target_price),
        tuple(asked.target_percent),
        tuple(asked.trailing_percent),
        tuple(asked.buy_time),
        tuple(asked.sell_time),
    )


def _check(plan: Plan, instrument: Instrument) -> None:
    """By the rules of the live platform, on a regular day of the exchange."""
    regular = ExchangeDay(date(2026, 1, 5), REGULAR_OPEN, REGULAR_CLOSE)
    problems = check_plan(plan, instrument=instrument, session=session_of(instrument, regular))
    if problems:
        raise refusal(problems)


def _assumed(instrument: Instrument, rules: RulesToTry, *, is_listed: bool) -> dict[str, Any]:
    chosen = Rules(rules.slippage_bps, rules.stale_after_seconds, rules.with_charges, rules.broker)
    return {"instrument": instrument_as_json(instrument), "is_listed": is_listed, "rules": rules_as_json(chosen)}


async def _start(
    services: Services,
    caller: Caller,
    kind: JobKind,
    name: str,
    data: PlaygroundData | None,
    request: dict[str, Any],
    *,
    total: int,
) -> PlaygroundJob:
    """The row first; without a workflow it is taken back, and a user can cancel one that was forgotten in between."""
    job = PlaygroundJob(
        user_id=caller.user_id,
        kind=kind,
        name=name,
        data_id=data.id if data else None,
        request=request,
        total=total,
        created_by=caller.user_id,
    )
    async with services.database.transaction() as session:
        await playground.lock_user(session, user_id=caller.user_id)
        stored, unfinished = await playground.count_jobs(session, user_id=caller.user_id)
        if unfinished >= MOST_UNFINISHED:
            raise ApiError(ErrorCode.PLAYGROUND_BUSY)
        if stored >= MOST_RESULTS:
            raise ApiError(ErrorCode.PLAYGROUND_FULL, f"{stored} results are kept, at most {MOST_RESULTS}; delete some")
        session.add(job)
        await session.flush()
        await session.refresh(job)
    try:
        async with asyncio.timeout(START_TIMEOUT.total_seconds()):
            await services.temporal.start_workflow(
                PLAYGROUND_WORKFLOW,
                PlaygroundInput(job.id, caller.user_id),
                id=playground_workflow_id(job.id),
                task_queue=services.settings.task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=f"{kind.value} of {len(request.get('variants', ['one']))} plans",
                rpc_timeout=START_TIMEOUT,
            )
    except TEMPORAL_AWAY as error:
        log.warning("playground_not_started", job_id=job.id, error=type(error).__name__)
        await _take_back(services, job)
        raise ApiError(ErrorCode.TEMPORAL_UNAVAILABLE) from error
    return job


async def _take_back(services: Services, job: PlaygroundJob) -> None:
    """If the request arrived after all, the workflow finds no row and ends."""
    async with services.database.transaction() as session:
        await playground.forget(session, job_id=job.id)


async def tell_cancelled(services: Services, job_id: str) -> None:
    """Best effort: the row has decided, and whoever reckons sees it at the next piece."""
    try:
        handle = services.temporal.get_workflow_handle(playground_workflow_id(job_id))
        async with asyncio.timeout(2):
            await handle.cancel(rpc_timeout=timedelta(seconds=2))
    except TEMPORAL_AWAY as error:
        log.info("playground_workflow_not_told", job_id=job_id, error=type(error).__name__)


def symbols(request: dict[str, Any]) -> Sequence[str]:
    """Symbols of the plans that are tried."""
    tried = request.get("variants") or [request["variant"]]
    return sorted({variant["symbol"] for variant in tried})
