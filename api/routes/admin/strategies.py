"""Everybody's strategies, and the stop an administrator may have to make."""

from fastapi import APIRouter, Depends

from api import running
from api.answers import plan_answer, run_answer
from api.declared import BODY, IDEMPOTENT, SIGNED_IN, errors
from api.deps import CurrentCaller, Platform, StrategyId, idempotency_key
from api.errors import ErrorCode
from api.idempotency import IdempotentRoute
from api.paging import Cursor, FilterText, Limit, cursor_of, read_cursor
from api.routes.admin.users import Search
from api.routes.running import what_happens
from api.routes.tags import ADMIN
from api.schemas.admin import ForceStop, ForceStopped, StrategyOfUser
from api.schemas.common import Page
from api.schemas.strategy import Stopped
from api.services import Services
from storage.repositories import admin_strategies
from storage.repositories.admin_strategies import ListedStrategy, StrategyFilter
from trading.accounts import BrokerName, Environment
from trading.runs import StrategyState

router = APIRouter(prefix="/admin", tags=[ADMIN], route_class=IdempotentRoute, dependencies=[Depends(idempotency_key)])
reading = APIRouter(prefix="/admin", tags=[ADMIN])


@reading.get(
    "/strategies",
    operation_id="adminListStrategies",
    responses=errors(SIGNED_IN, BODY, ErrorCode.FORBIDDEN, ErrorCode.INVALID_CURSOR),
)
async def list_strategies(
    admin: CurrentCaller,
    platform: Platform,
    search: Search = None,
    status: StrategyState | None = None,
    user_id: FilterText | None = None,
    symbol: FilterText | None = None,
    broker: BrokerName | None = None,
    environment: Environment | None = None,
    has_open_run: bool | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[StrategyOfUser]:
    """Everybody's strategies, newest first; `query` looks in symbols, names and owners' addresses."""
    after = read_cursor(cursor, prefix="str")
    wanted = StrategyFilter(user_id, status, symbol, broker, environment, has_open_run, search)
    async with platform.database.transaction() as session:
        rows = await admin_strategies.page(session, wanted, after=after, limit=limit + 1)
    shown = rows[:limit]
    last = shown[-1].strategy if len(rows) > limit else None
    return Page(
        items=[_answer(platform, listed) for listed in shown], next_cursor=cursor_of(last.created_at, last.id) if last else None
    )


@router.post(
    "/strategies/{strategy_id}/force-stop",
    operation_id="adminForceStop",
    responses=errors(SIGNED_IN, BODY, IDEMPOTENT, ErrorCode.FORBIDDEN, ErrorCode.STRATEGY_NOT_FOUND, ErrorCode.NOT_RUNNING),
)
async def force_stop(strategy_id: StrategyId, body: ForceStop, admin: CurrentCaller, platform: Platform) -> ForceStopped:
    """Stop anybody's run as its owner could, or keep a repeating strategy from starting again. The owner reads the reason."""
    stopped = await running.force_stop(platform, admin, strategy_id=strategy_id, square_off=body.square_off, reason=body.reason)
    if stopped is None:
        return ForceStopped(strategy_id=strategy_id, stopped=None)
    run = stopped.run
    answer = Stopped(
        strategy_id=strategy_id,
        status=StrategyState.STOPPED,
        run_id=run.id,
        run_state=run.state,
        square_off=stopped.taken.square_off,
        entry_stopped=stopped.taken.entry_was_stopped,
        position=run.position,
        message=what_happens(run),
    )
    return ForceStopped(strategy_id=strategy_id, stopped=answer)


def _answer(platform: Services, listed: ListedStrategy) -> StrategyOfUser:
    return StrategyOfUser(
        strategy=plan_answer(platform, listed.strategy),
        owner_id=listed.strategy.user_id,
        owner_email=listed.owner_email,
        broker=listed.broker,
        newest_run=run_answer(listed.run) if listed.run else None,
    )
