"""Strategies and their runs. Everything takes `user_id` and filters by it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import Run, Strategy, StrategyVersion
from trading.instruments import InstrumentId
from trading.plan import Plan
from trading.runs import RunState, StrategyState
from trading.trailing import trail_of


@dataclass(frozen=True, slots=True)
class After:
    """The last row of the page before."""

    created_at: datetime
    id: str


async def find(session: AsyncSession, *, strategy_id: str, user_id: str) -> Strategy | None:
    statement = select(Strategy).where(Strategy.id == strategy_id, Strategy.user_id == user_id, Strategy.deleted_at.is_(None))
    return await session.scalar(statement)


async def find_for_update(session: AsyncSession, *, strategy_id: str, user_id: str) -> Strategy | None:
    """Locked: starts, edits and deletes of one strategy happen one after the other."""
    statement = select(Strategy).where(Strategy.id == strategy_id, Strategy.user_id == user_id, Strategy.deleted_at.is_(None))
    return await session.scalar(statement.with_for_update().execution_options(populate_existing=True))


async def list_page(
    session: AsyncSession, *, user_id: str | None, state: StrategyState | None, after: After | None, limit: int
) -> Sequence[Strategy]:
    """Newest first. Without a `user_id`: everybody's, for Admins."""
    statement = select(Strategy).where(Strategy.deleted_at.is_(None))
    if user_id is not None:
        statement = statement.where(Strategy.user_id == user_id)
    if state is not None:
        statement = statement.where(Strategy.state == state)
    if after is not None:
        statement = statement.where(tuple_(Strategy.created_at, Strategy.id) < (after.created_at, after.id))
    statement = statement.order_by(Strategy.created_at.desc(), Strategy.id.desc()).limit(limit)
    return (await session.scalars(statement)).all()


def keep_version(session: AsyncSession, strategy: Strategy, *, by: str) -> None:
    """Write down the plan as it is now, for good."""
    version = StrategyVersion(
        strategy_id=strategy.id,
        user_id=strategy.user_id,
        version=strategy.version,
        plan=_as_json(strategy),
        created_by=by,
    )
    session.add(version)


def plan_of(strategy: Strategy) -> Plan:
    return Plan(
        instrument=InstrumentId(strategy.exchange, strategy.symbol),
        product=strategy.product,
        quantity=strategy.quantity,
        buy_time=strategy.buy_time,
        sell_time=strategy.sell_time,
        stop_loss=strategy.stop_loss,
        repeat=strategy.repeat,
        max_lateness_seconds=strategy.max_lateness_seconds,
        target_price=strategy.target_price,
        trail=trail_of(strategy.trailing_by, strategy.trailing_percent),
    )


async def running_ids(session: AsyncSession, *, user_id: str, since: str, limit: int) -> Sequence[str]:
    """Of that user's strategies that run, the one of that id and the next ones made after it."""
    own = (Strategy.user_id == user_id, Strategy.deleted_at.is_(None), Strategy.state == StrategyState.RUNNING)
    statement = select(Strategy.id).where(*own, Strategy.id >= since).order_by(Strategy.id).limit(limit)
    return (await session.scalars(statement)).all()


async def open_run(session: AsyncSession, *, strategy_id: str, user_id: str) -> Run | None:
    statement = select(Run).where(Run.strategy_id == strategy_id, Run.user_id == user_id, Run.state != RunState.ENDED)
    return await session.scalar(statement.execution_options(populate_existing=True))


async def find_run(session: AsyncSession, *, run_id: str, user_id: str) -> Run | None:
    statement = select(Run).where(Run.id == run_id, Run.user_id == user_id)
    return await session.scalar(statement.execution_options(populate_existing=True))


async def runs_page(session: AsyncSession, *, strategy_id: str, user_id: str, after: After | None, limit: int) -> Sequence[Run]:
    """Newest first."""
    statement = select(Run).where(Run.strategy_id == strategy_id, Run.user_id == user_id)
    if after is not None:
        statement = statement.where(tuple_(Run.created_at, Run.id) < (after.created_at, after.id))
    return (await session.scalars(statement.order_by(Run.created_at.desc(), Run.id.desc()).limit(limit))).all()


def _as_json(strategy: Strategy) -> Mapping[str, Any]:
    return {
        "exchange": strategy.exchange,
        "symbol": strategy.symbol,
        "product": strategy.product.value,
        "quantity": strategy.quantity,
        "buy_time": strategy.buy_time.isoformat(),
        "sell_time": strategy.sell_time.isoformat(),
        "stop_loss": str(strategy.stop_loss),
        "target_price": None if strategy.target_price is None else str(strategy.target_price),
        "trailing_by": None if strategy.trailing_by is None else str(strategy.trailing_by),
        "trailing_percent": None if strategy.trailing_percent is None else str(strategy.trailing_percent),
        "backup_stop": strategy.backup_stop,
        "repeat": strategy.repeat.value,
        "max_lateness_seconds": strategy.max_lateness_seconds,
        "account_id": strategy.account_id,
        "name": strategy.name,
    }
