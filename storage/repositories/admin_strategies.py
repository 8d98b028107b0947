"""Strategies of everybody, for Admins: the list with its owners and newest runs in two statements, whatever the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import exists, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from storage.models import BrokerAccount, Run, Strategy, User
from storage.repositories.strategies import After
from trading.accounts import BrokerName, Environment
from trading.runs import RunState, StrategyState


@dataclass(frozen=True, slots=True)
class StrategyFilter:
    """What is left out does not matter. `query` is part of a symbol, a name or an owner's e-mail address."""

    user_id: str | None = None
    state: StrategyState | None = None
    symbol: str | None = None
    broker: BrokerName | None = None
    environment: Environment | None = None
    has_open_run: bool | None = None
    query: str | None = None


@dataclass(frozen=True, slots=True)
class ListedStrategy:
    """`run`: the newest one; None before the first start."""

    strategy: Strategy
    owner_email: str
    broker: BrokerName | None
    run: Run | None


async def find(session: AsyncSession, *, strategy_id: str) -> Strategy | None:
    return await session.scalar(select(Strategy).where(Strategy.id == strategy_id, Strategy.deleted_at.is_(None)))


async def find_for_update(session: AsyncSession, *, strategy_id: str) -> Strategy | None:
    statement = select(Strategy).where(Strategy.id == strategy_id, Strategy.deleted_at.is_(None))
    return await session.scalar(statement.with_for_update().execution_options(populate_existing=True))


async def page(session: AsyncSession, wanted: StrategyFilter, *, after: After | None, limit: int) -> Sequence[ListedStrategy]:
    """Newest first."""
    statement = (
        select(Strategy, User.email, BrokerAccount.broker)
        .join(User, User.id == Strategy.user_id)
        .outerjoin(BrokerAccount, BrokerAccount.id == Strategy.account_id)
        .where(Strategy.deleted_at.is_(None))
    )
    if wanted.user_id is not None:
        statement = statement.where(Strategy.user_id == wanted.user_id)
    if wanted.state is not None:
        statement = statement.where(Strategy.state == wanted.state)
    if wanted.symbol is not None:
        statement = statement.where(Strategy.symbol == wanted.symbol.upper())
    if wanted.broker is not None:
        statement = statement.where(BrokerAccount.broker == wanted.broker)
    if wanted.environment is not None:
        statement = statement.where(BrokerAccount.environment == wanted.environment)
    if wanted.has_open_run is not None:
        is_open = exists().where(Run.strategy_id == Strategy.id, Run.state != RunState.ENDED)
        statement = statement.where(is_open if wanted.has_open_run else ~is_open)
    if wanted.query:
        columns = (Strategy.symbol, Strategy.name, User.email)
        statement = statement.where(or_(*(column.icontains(wanted.query, autoescape=True) for column in columns)))
    if after is not None:
        statement = statement.where(tuple_(Strategy.created_at, Strategy.id) < (after.created_at, after.id))
    statement = statement.order_by(Strategy.created_at.desc(), Strategy.id.desc()).limit(limit)
    found = (await session.execute(statement)).all()
    runs = await _newest_runs(session, [strategy.id for strategy, _, _ in found])
    return [ListedStrategy(strategy, email, broker, runs.get(strategy.id)) for strategy, email, broker in found]


async def _newest_runs(session: AsyncSession, strategy_ids: Sequence[str]) -> dict[str, Run]:
    if not strategy_ids:
        return {}
    later = aliased(Run)
    newest = ~exists().where(later.strategy_id == Run.strategy_id, later.id > Run.id)
    rows = await session.scalars(select(Run).where(Run.strategy_id.in_(strategy_ids), newest))
    return {run.strategy_id: run for run in rows}
