"""Strategies as data: create, edit, delete, list, read."""

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from api import notify, plans
from api.answers import plan_answer
from api.declared import BODY, IDEMPOTENT, SIGNED_IN, errors
from api.deps import Caller, CurrentCaller, Platform, StrategyId, idempotency_key
from api.errors import ApiError, ErrorCode
from api.idempotency import IdempotentRoute
from api.paging import Cursor, Limit, cursor_of, read_cursor
from api.routes.tags import STRATEGIES
from api.schemas.broker import Deleted
from api.schemas.common import Page
from api.schemas.strategy import CreateStrategy, PlanAnswer, PlanWithWarnings, UpdateStrategy
from api.services import Services
from storage.models import Role, Strategy
from storage.repositories import accounts, audit, strategies
from trading.runs import StrategyState

router = APIRouter(prefix="/strategy", tags=[STRATEGIES], route_class=IdempotentRoute, dependencies=[Depends(idempotency_key)])
reading = APIRouter(prefix="/strategy", tags=[STRATEGIES])

PLAN_PROBLEMS = (
    ErrorCode.INVALID_TIME,
    ErrorCode.INVALID_QUANTITY,
    ErrorCode.QUANTITY_NOT_IN_LOTS,
    ErrorCode.QUANTITY_ABOVE_FREEZE,
    ErrorCode.INVALID_STOP_LOSS,
    ErrorCode.STOP_LOSS_OFF_TICK,
    ErrorCode.INVALID_TARGET_PRICE,
    ErrorCode.TARGET_PRICE_OFF_TICK,
    ErrorCode.TARGET_NOT_ABOVE_STOP,
    ErrorCode.INVALID_TRAILING_STOP,
    ErrorCode.BUY_BEFORE_OPEN,
    ErrorCode.SELL_AFTER_CLOSE,
    ErrorCode.BUY_NOT_BEFORE_SELL,
    ErrorCode.PRODUCT_NOT_ALLOWED,
    ErrorCode.NOT_TRADABLE,
    ErrorCode.INVALID_MAX_LATENESS,
    ErrorCode.UNKNOWN_SYMBOL,
    ErrorCode.INSTRUMENTS_NOT_LOADED,
)


@router.post(
    "/create",
    status_code=201,
    operation_id="createStrategy",
    responses=errors(SIGNED_IN, BODY, IDEMPOTENT, PLAN_PROBLEMS, ErrorCode.BROKER_NOT_FOUND),
)
async def create(body: CreateStrategy, caller: CurrentCaller, platform: Platform) -> PlanWithWarnings:
    """Write down a plan. Needs neither a broker account nor a price; nothing trades before it is started."""
    strategy = Strategy(
        user_id=caller.user_id,
        account_id=body.broker_id,
        name=body.name,
        exchange=body.exchange,
        symbol=body.symbol,
        product=body.product,
        quantity=body.quantity,
        buy_time=body.buy_time,
        sell_time=body.sell_time,
        stop_loss=body.stop_loss,
        target_price=body.target_price,
        trailing_by=body.trailing_by,
        trailing_percent=body.trailing_percent,
        backup_stop=body.backup_stop,
        repeat=body.repeat,
        max_lateness_seconds=body.max_lateness_seconds,
        version=1,
        state=StrategyState.CREATED,
        created_by=caller.user_id,
        updated_by=caller.user_id,
    )
    plans.check(platform, strategies.plan_of(strategy))
    now = platform.clock.now()
    async with platform.database.transaction() as session:
        await _check_account(session, caller, strategy.account_id)
        session.add(strategy)
        await session.flush()
        strategies.keep_version(session, strategy, by=caller.user_id)
        await audit.append(session, actor_id=caller.user_id, action="strategy.create", subject_id=strategy.id, now=now)
        await session.refresh(strategy)
    await notify.strategy_changed(platform, strategy_id=strategy.id, user_id=caller.user_id)
    return await _with_warnings(platform, strategy)


@router.put(
    "/{strategy_id}",
    operation_id="updateStrategy",
    responses=errors(
        SIGNED_IN,
        BODY,
        IDEMPOTENT,
        PLAN_PROBLEMS,
        ErrorCode.STRATEGY_NOT_FOUND,
        ErrorCode.BROKER_NOT_FOUND,
        ErrorCode.STRATEGY_RUNNING,
    ),
)
async def update(strategy_id: StrategyId, body: UpdateStrategy, caller: CurrentCaller, platform: Platform) -> PlanWithWarnings:
    """Change the plan; fields that are left out stay. Every change is a new version. Refused while it runs."""
    now = platform.clock.now()
    async with platform.database.transaction() as session:
        strategy = await _editable(session, caller, strategy_id)
        changes = {name: getattr(body, name) for name in body.model_fields_set}
        _apply(strategy, changes)
        # A refusal rolls the transaction back.
        plans.check(platform, strategies.plan_of(strategy))
        await _check_account(session, caller, strategy.account_id)
        strategy.version += 1
        strategy.updated_by = caller.user_id
        await session.flush()
        strategies.keep_version(session, strategy, by=caller.user_id)
        await audit.append(
            session,
            actor_id=caller.user_id,
            action="strategy.update",
            subject_id=strategy.id,
            now=now,
            version=strategy.version,
        )
        await session.refresh(strategy)
    await notify.strategy_changed(platform, strategy_id=strategy.id, user_id=caller.user_id)
    return await _with_warnings(platform, strategy)


@router.delete(
    "/{strategy_id}",
    operation_id="deleteStrategy",
    responses=errors(SIGNED_IN, IDEMPOTENT, ErrorCode.STRATEGY_NOT_FOUND, ErrorCode.STRATEGY_RUNNING),
)
async def delete(strategy_id: StrategyId, caller: CurrentCaller, platform: Platform) -> Deleted:
    """Gone from every list; its runs and orders are kept for the record. Refused while it runs."""
    now = platform.clock.now()
    async with platform.database.transaction() as session:
        strategy = await _editable(session, caller, strategy_id)
        strategy.deleted_at, strategy.deleted_by, strategy.status = now, caller.user_id, "deleted"
        await audit.append(session, actor_id=caller.user_id, action="strategy.delete", subject_id=strategy_id, now=now)
    await notify.strategy_deleted(platform, strategy_id=strategy_id)
    return Deleted(id=strategy_id)


@reading.get("/list", operation_id="listStrategies", responses=errors(SIGNED_IN, BODY, ErrorCode.INVALID_CURSOR))
async def list_strategies(
    caller: CurrentCaller,
    platform: Platform,
    status: StrategyState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[PlanAnswer]:
    """The user's strategies, newest first; for an Admin everybody's, each with its `user_id`."""
    after = read_cursor(cursor, prefix="str")
    whose = None if caller.role is Role.ADMIN else caller.user_id
    async with platform.database.transaction() as session:
        rows = await strategies.list_page(session, user_id=whose, state=status, after=after, limit=limit + 1)
    shown = rows[:limit]
    following = cursor_of(shown[-1].created_at, shown[-1].id) if len(rows) > limit else None
    return Page(items=[plan_answer(platform, strategy) for strategy in shown], next_cursor=following)


@reading.get("/{strategy_id}", operation_id="getStrategy", responses=errors(SIGNED_IN, ErrorCode.STRATEGY_NOT_FOUND))
async def get_strategy(strategy_id: StrategyId, caller: CurrentCaller, platform: Platform) -> PlanAnswer:
    """One strategy's plan."""
    async with platform.database.transaction() as session:
        strategy = await strategies.find(session, strategy_id=strategy_id, user_id=caller.user_id)
    if strategy is None:
        raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
    return plan_answer(platform, strategy)


async def _editable(session: AsyncSession, caller: Caller, strategy_id: str) -> Strategy:
    strategy = await strategies.find_for_update(session, strategy_id=strategy_id, user_id=caller.user_id)
    if strategy is None:
        raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
    if await strategies.open_run(session, strategy_id=strategy_id, user_id=caller.user_id) is not None:
        raise ApiError(ErrorCode.STRATEGY_RUNNING)
    return strategy


async def _check_account(session: AsyncSession, caller: Caller, account_id: str | None) -> None:
    if account_id is not None and await accounts.find(session, account_id=account_id, user_id=caller.user_id) is None:
        raise ApiError(ErrorCode.BROKER_NOT_FOUND)


# What may be emptied by sending null; for the others null means "not sent".
_MAY_BE_EMPTY = frozenset({"broker_id", "max_lateness_seconds", "target_price", "trailing_by", "trailing_percent"})
_OTHER_WAY = {"trailing_by": "trailing_percent", "trailing_percent": "trailing_by"}


def _apply(strategy: Strategy, changes: dict[str, object]) -> None:
    for name, value in changes.items():
        if value is not None or name in _MAY_BE_EMPTY:
            setattr(strategy, "account_id" if name == "broker_id" else name, value)
        if value is not None and name in _OTHER_WAY:
            setattr(strategy, _OTHER_WAY[name], None)


async def _with_warnings(platform: Services, strategy: Strategy) -> PlanWithWarnings:
    answer = plan_answer(platform, strategy)
    return PlanWithWarnings(**dict(answer), warnings=await plans.warnings(platform, strategies.plan_of(strategy)))
