"""Counts over the whole installation, for Admins."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import Alert, Order, Run, Strategy, User
from trading.orders import IN_DOUBT_STATES
from trading.runs import RunState


@dataclass(frozen=True, slots=True)
class Counts:
    users: int
    strategies: int
    open_runs: int
    orders_in_doubt: int
    open_alerts: int


async def read(session: AsyncSession) -> Counts:
    users = select(func.count()).where(User.deleted_at.is_(None)).scalar_subquery()
    strategies = select(func.count()).where(Strategy.deleted_at.is_(None)).scalar_subquery()
    runs = select(func.count()).where(Run.state != RunState.ENDED).scalar_subquery()
    doubts = select(func.count()).where(Order.state.in_(IN_DOUBT_STATES)).scalar_subquery()
    alerts = select(func.count()).where(Alert.cleared_at.is_(None)).scalar_subquery()
    row = (await session.execute(select(users, strategies, runs, doubts, alerts))).one()
    return Counts(*row)
