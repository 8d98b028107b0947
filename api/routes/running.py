"""What runs: start, stop, status, change, runs and timeline."""

from fastapi import APIRouter, Depends

from api import running, starting
from api.answers import event_answer, run_answer, status_answer
from api.declared import BODY, BROKER_CALL, IDEMPOTENT, SIGNED_IN, errors
from api.deps import Caller, CurrentCaller, Platform, StrategyId, idempotency_key, known_id
from api.errors import ApiError, ErrorCode
from api.idempotency import IdempotentRoute
from api.paging import Cursor, FilterText, Limit, cursor_of, read_cursor, read_number_cursor
from api.plans import hot_price, price_warnings
from api.routes.strategies import PLAN_PROBLEMS
from api.routes.tags import RUNNING
from api.schemas.common import Page
from api.schemas.strategy import (
    Changed,
    ChangeRunning,
    RunAnswer,
    StartBody,
    Started,
    StartOne,
    Status,
    StopBody,
    StopOne,
    Stopped,
    TimelineEvent,
)
from api.services import Services
from api.status import read_status
from storage.models import Run
from storage.repositories import strategies, timeline
from trading.runs import Position, StrategyState
from trading.sessions import INDIA

router = APIRouter(prefix="/strategy", tags=[RUNNING], route_class=IdempotentRoute, dependencies=[Depends(idempotency_key)])
reading = APIRouter(prefix="/strategy", tags=[RUNNING])

_START = errors(
    SIGNED_IN,
    BODY,
    IDEMPOTENT,
    BROKER_CALL,
    ErrorCode.STRATEGY_NOT_FOUND,
    ErrorCode.UNKNOWN_SYMBOL,
    ErrorCode.BROKER_NOT_CONNECTED,
    ErrorCode.BROKER_CHOICE_NEEDED,
    ErrorCode.ALREADY_RUNNING,
    ErrorCode.STRATEGY_CHANGED,
    ErrorCode.PRICE_AT_OR_BELOW_STOP,
    ErrorCode.PRICE_AT_OR_ABOVE_TARGET,
    ErrorCode.BACKUP_STOP_NOT_SUPPORTED,
    ErrorCode.MARKET_CLOSED,
    ErrorCode.NO_TRADING_DAY,
    ErrorCode.KILL_SWITCH_ENGAGED,
    ErrorCode.MAINTENANCE,
    ErrorCode.BROKER_SWITCHED_OFF,
    ErrorCode.FEATURE_SWITCHED_OFF,
    ErrorCode.RISK_LIMIT_ORDER_VALUE,
    ErrorCode.RISK_LIMIT_OPEN_VALUE,
    ErrorCode.RISK_LIMIT_ORDERS_PER_DAY,
    ErrorCode.RISK_LIMIT_DAILY_LOSS,
    ErrorCode.INSTRUMENTS_NOT_LOADED,
    ErrorCode.PRICE_UNAVAILABLE,
    ErrorCode.TEMPORAL_UNAVAILABLE,
    ErrorCode.CALENDAR_UNKNOWN,
)
_STOP = errors(SIGNED_IN, BODY, IDEMPOTENT, ErrorCode.STRATEGY_NOT_FOUND, ErrorCode.NOT_RUNNING)
_CHANGE = errors(
    SIGNED_IN,
    BODY,
    IDEMPOTENT,
    PLAN_PROBLEMS,
    ErrorCode.STRATEGY_NOT_FOUND,
    ErrorCode.NOT_RUNNING,
    ErrorCode.RUN_ENDED,
    ErrorCode.EXIT_HAS_BEGUN,
    ErrorCode.SELL_TIME_PASSED,
    ErrorCode.SELL_NOT_AFTER_BUY,
    ErrorCode.STOP_ABOVE_PRICE,
    ErrorCode.STOP_BELOW_TRAIL,
    ErrorCode.TARGET_BELOW_PRICE,
    ErrorCode.TARGET_BELOW_STOP,
    ErrorCode.CALENDAR_UNKNOWN,
)


@router.post("/start/{strategy_id}", operation_id="startStrategy", responses=_START)
async def start(strategy_id: StrategyId, caller: CurrentCaller, platform: Platform, body: StartBody | None = None) -> Started:
    """Run the strategy: today if its buy time is still ahead, else on the next trading day; with `now`, at once."""
    return await _start(platform, caller, strategy_id, body or StartBody())


@router.post("/start", operation_id="startStrategyById", responses=_START)
async def start_by_body(body: StartOne, caller: CurrentCaller, platform: Platform) -> Started:
    """As above, with the id in the body."""
    return await _start(platform, caller, _in_body(body.strategy_id), body)


def _in_body(strategy_id: str) -> str:
    return known_id(strategy_id, prefix="str", missing=ErrorCode.STRATEGY_NOT_FOUND)


async def _start(platform: Services, caller: Caller, strategy_id: str, body: StartBody) -> Started:
    started = await starting.start(platform, caller, strategy_id=strategy_id, now_wanted=body.start == "now")
    run = started.run
    hot = await hot_price(platform, started.plan.instrument)
    buy_at = run.buy_at.astimezone(INDIA)
    when = "now" if run.starts_now else f"at {buy_at:%H:%M:%S} on {buy_at:%d %b %Y}"
    return Started(
        strategy_id=strategy_id,
        status=StrategyState.RUNNING,
        run_id=run.id,
        broker_id=run.account_id,
        environment=run.environment,
        trading_day=run.trading_day,
        starts_at=run.buy_at,
        sells_at=run.sell_at,
        message=f"Buys {run.quantity} {run.symbol} {when}",
        warnings=price_warnings(run.stop_loss, run.target_price, hot.price) if hot else [],
    )


@router.post("/stop/{strategy_id}", operation_id="stopStrategy", responses=_STOP)
async def stop(strategy_id: StrategyId, caller: CurrentCaller, platform: Platform, body: StopBody | None = None) -> Stopped:
    """Stop the run: nothing more is bought, and what is held is sold, or kept with `square_off` false."""
    return await _stop(platform, caller, strategy_id, body or StopBody())


@router.post("/stop", operation_id="stopStrategyById", responses=_STOP)
async def stop_by_body(body: StopOne, caller: CurrentCaller, platform: Platform) -> Stopped:
    """As above, with the id in the body."""
    return await _stop(platform, caller, _in_body(body.strategy_id), body)


async def _stop(platform: Services, caller: Caller, strategy_id: str, body: StopBody) -> Stopped:
    stopped = await running.stop(platform, caller, strategy_id=strategy_id, square_off=body.square_off)
    run = stopped.run
    return Stopped(
        strategy_id=strategy_id,
        status=StrategyState.STOPPED,
        run_id=run.id,
        run_state=run.state,
        square_off=stopped.taken.square_off,
        entry_stopped=stopped.taken.entry_was_stopped,
        position=run.position,
        message=what_happens(run),
    )


def what_happens(run: Run) -> str:
    """What a stop leads to, in words."""
    held = run.bought - run.sold
    if run.position is not Position.BOUGHT or held <= 0:
        return (
            "Nothing is held. If a buy order is out already, what it still fills is sold."
            if not run.leave_open
            else ("Nothing is held. If a buy order is out already, what it still fills is kept.")
        )
    if run.leave_open:
        return f"The position of {held} {run.symbol} is left open; nobody watches it any more."
    return f"Selling {held} {run.symbol}; the run ends when the position is flat."


@reading.get("/status/{strategy_id}", operation_id="getStrategyStatus", responses=errors(SIGNED_IN, ErrorCode.STRATEGY_NOT_FOUND))
async def status(strategy_id: StrategyId, caller: CurrentCaller, platform: Platform) -> Status:
    """How the strategy stands now: its open run, else its newest."""
    view = await read_status(platform, strategy_id=strategy_id, user_id=caller.user_id)
    if view is None:
        raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
    return status_answer(view)


@router.patch("/{strategy_id}/running", operation_id="changeRunningStrategy", responses=_CHANGE)
async def change(strategy_id: StrategyId, body: ChangeRunning, caller: CurrentCaller, platform: Platform) -> Changed:
    """Move the stop, the target or the sell time of the trade that runs; the plan stays as it is. Refused once the exit has
    begun. A stop that follows the price can be raised, and never lowered."""
    if body.stop_loss is None and body.target_price is None and body.sell_time is None:
        # Nothing was sent, or null, which is no price and no time.
        code = ErrorCode.INVALID_VALUE if body.model_fields_set else ErrorCode.INVALID_INPUT
        raise ApiError(code, "send stop_loss, target_price, sell_time or several of them")
    changed = await running.change(platform, caller, strategy_id=strategy_id, wanted=body)
    taken = changed.taken
    return Changed(
        strategy_id=strategy_id,
        run_id=taken.run_id,
        stop_loss=taken.stop_loss,
        stop_version=taken.stop_version,
        target_price=taken.target_price,
        sell_time=taken.sell_at.astimezone(INDIA).time(),
        sells_at=taken.sell_at,
        workflow_told=changed.workflow_told,
    )


@reading.get(
    "/{strategy_id}/runs",
    operation_id="listRuns",
    responses=errors(SIGNED_IN, BODY, ErrorCode.STRATEGY_NOT_FOUND, ErrorCode.INVALID_CURSOR),
)
async def runs(
    strategy_id: StrategyId, caller: CurrentCaller, platform: Platform, limit: Limit = 50, cursor: Cursor = None
) -> Page[RunAnswer]:
    """Every run of the strategy, newest first."""
    after = read_cursor(cursor, prefix="run")
    async with platform.database.transaction() as session:
        if await strategies.find(session, strategy_id=strategy_id, user_id=caller.user_id) is None:
            raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
        rows = await strategies.runs_page(session, strategy_id=strategy_id, user_id=caller.user_id, after=after, limit=limit + 1)
    shown = rows[:limit]
    following = cursor_of(shown[-1].created_at, shown[-1].id) if len(rows) > limit else None
    return Page(items=[run_answer(run) for run in shown], next_cursor=following)


@reading.get(
    "/{strategy_id}/timeline",
    operation_id="getTimeline",
    responses=errors(SIGNED_IN, BODY, ErrorCode.STRATEGY_NOT_FOUND, ErrorCode.INVALID_CURSOR),
)
async def get_timeline(
    strategy_id: StrategyId,
    caller: CurrentCaller,
    platform: Platform,
    run_id: FilterText | None = None,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> Page[TimelineEvent]:
    """What happened, in plain words, oldest first; of one run with `run_id`."""
    after = read_number_cursor(cursor) or 0
    async with platform.database.transaction() as session:
        if await strategies.find(session, strategy_id=strategy_id, user_id=caller.user_id) is None:
            raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
        rows = await timeline.page(
            session, user_id=caller.user_id, strategy_id=strategy_id, run_id=run_id, after=after, limit=limit + 1
        )
    shown = rows[:limit]
    following = str(shown[-1].sequence) if len(rows) > limit else None
    return Page(items=[event_answer(event) for event in shown], next_cursor=following)
