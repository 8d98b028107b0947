"""Views made from Postgres: of some strategies after they changed, or of all of them when Redis has lost its memory.

The only module of this package that reads Postgres.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from redis.asyncio import Redis
from sqlalchemy import ARRAY, Row, Select, Text, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from cache.connection import answering
from cache.keys import COMPLETE
from cache.runtime_view import OrderView, PlanView, RuntimeView, View
from storage.database import Database
from storage.models import Order, Run, Strategy
from trading.runs import RunState

# Small pages: whoever rebuilds goes on with its own work between them.
PAGE_SIZE = 100


async def refresh(database: Database, redis: Redis, strategy_ids: Sequence[str]) -> None:
    """Bring these strategies' views up to date; call it after the commit. Raises CacheUnavailable."""
    async with database.transaction() as session:
        views = await read_views(session, strategy_ids)
    await RuntimeView(redis).write_many(views)


async def rebuild(database: Database, redis: Redis) -> int:
    """Writes the view of every strategy that is not deleted; how many. Raises CacheUnavailable."""
    view = RuntimeView(redis)
    written, after = 0, ""
    while True:
        async with database.transaction() as session:
            page = (
                select(Strategy.id)
                .where(Strategy.deleted_at.is_(None), Strategy.id > after)
                .order_by(Strategy.id)
                .limit(PAGE_SIZE)
            )
            ids = list((await session.scalars(page)).all())
            views = await read_views(session, ids)
        await view.write_many(views)
        written += len(views)
        if len(ids) < PAGE_SIZE:
            break
        after = ids[-1]
    async with answering():
        await redis.set(COMPLETE, str(written))
    return written


async def is_complete(redis: Redis) -> bool:
    """Whether Redis still remembers a rebuild; False after it was emptied or restarted. Raises CacheUnavailable."""
    async with answering():
        return await redis.exists(COMPLETE) == 1


# Columns and no objects of the mapper: the worker makes a herd's views on the core that its orders need.
_IDS = any_(bindparam("ids", type_=ARRAY(Text)))
_STRATEGIES = select(
    # When the transaction began, so before anything was read: a change that is committed later makes a view of its own, which is
    # then the newer one.
    func.now().label("as_of"),
    Strategy.id,
    Strategy.user_id,
    Strategy.account_id,
    Strategy.state,
    Strategy.name,
    Strategy.exchange,
    Strategy.symbol,
    Strategy.product,
    Strategy.quantity,
    Strategy.buy_time,
    Strategy.sell_time,
    Strategy.stop_loss,
    Strategy.repeat,
    Strategy.version,
    Strategy.target_price,
    Strategy.trailing_by,
    Strategy.trailing_percent,
).where(Strategy.id == _IDS, Strategy.deleted_at.is_(None))
# The open run of each strategy, else its newest.
_RUNS = (
    select(
        Run.id,
        Run.strategy_id,
        Run.state,
        Run.trading_day,
        Run.position,
        Run.last_action,
        Run.bought,
        Run.buy_value,
        Run.sold,
        Run.sell_value,
        Run.realised_pnl,
        Run.stop_loss,
        Run.stop_version,
        Run.buy_at,
        Run.sell_at,
        Run.exit_reason,
        Run.end_reason,
        Run.end_detail,
        Run.stop_requested_at,
        Run.target_price,
        Run.highest_price,
    )
    .where(Run.strategy_id == _IDS, Run.deleted_at.is_(None))
    .ext(distinct_on(Run.strategy_id))
    .order_by(Run.strategy_id, (Run.state != RunState.ENDED).desc(), Run.created_at.desc(), Run.id.desc())
)
_ORDERS = (
    select(
        Order.run_id, Order.id, Order.leg, Order.attempt, Order.state, Order.quantity, Order.filled_quantity, Order.average_price
    )
    .where(Order.run_id == _IDS)
    .order_by(Order.id)
)
_Row: TypeAlias = Row[*tuple[Any, ...]]


async def read_views(session: AsyncSession, strategy_ids: Sequence[str]) -> list[tuple[View, PlanView]]:
    """Views as Postgres has them now; strategies it does not know, or that are deleted, are absent. Needs a transaction."""
    if not strategy_ids:
        return []
    strategies = await _read(session, _STRATEGIES, strategy_ids)
    runs = {run.strategy_id: run for run in await _read(session, _RUNS, strategy_ids)}
    orders: dict[str, list[_Row]] = {}
    if runs:
        for order in await _read(session, _ORDERS, [run.id for run in runs.values()]):
            orders.setdefault(order.run_id, []).append(order)
    return [(_view(_Rows(strategy, runs.get(strategy.id), orders)), _plan(strategy)) for strategy in strategies]


async def _read(session: AsyncSession, statement: Select[*tuple[Any, ...]], ids: Sequence[str]) -> Sequence[_Row]:
    return (await session.execute(statement, {"ids": list(ids)})).all()


@dataclass(frozen=True, slots=True)
class _Rows:
    strategy: _Row
    run: _Row | None
    orders: dict[str, list[_Row]]


def _view(rows: _Rows) -> View:
    strategy, run = rows.strategy, rows.run
    if run is None:
        return View(strategy.id, strategy.user_id, strategy.state, strategy.as_of)
    return View(
        strategy_id=strategy.id,
        user_id=strategy.user_id,
        status=strategy.state,
        as_of=strategy.as_of,
        run_id=run.id,
        state=run.state,
        trading_day=run.trading_day,
        position=run.position,
        last_action=run.last_action,
        orders=tuple(_order(order) for order in rows.orders.get(run.id, ())),
        bought=run.bought,
        buy_value=run.buy_value,
        sold=run.sold,
        sell_value=run.sell_value,
        realised_pnl=run.realised_pnl,
        stop_loss=run.stop_loss,
        stop_version=run.stop_version,
        buy_at=run.buy_at,
        sell_at=run.sell_at,
        exit_reason=run.exit_reason,
        end_reason=run.end_reason,
        end_detail=run.end_detail,
        stop_requested_at=run.stop_requested_at,
        target_price=run.target_price,
        highest_price=run.highest_price,
    )


def _order(order: _Row) -> OrderView:
    return OrderView(order.id, order.leg, order.attempt, order.state, order.quantity, order.filled_quantity, order.average_price)


def _plan(strategy: _Row) -> PlanView:
    return PlanView(
        strategy_id=strategy.id,
        user_id=strategy.user_id,
        account_id=strategy.account_id,
        name=strategy.name,
        exchange=strategy.exchange,
        symbol=strategy.symbol,
        product=strategy.product,
        quantity=strategy.quantity,
        buy_time=strategy.buy_time,
        sell_time=strategy.sell_time,
        stop_loss=strategy.stop_loss,
        repeat=strategy.repeat,
        version=strategy.version,
        target_price=strategy.target_price,
        trailing_by=strategy.trailing_by,
        trailing_percent=strategy.trailing_percent,
    )
