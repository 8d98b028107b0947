"""Counts per broker, for operators and for a broker's own staff: no user, no account, no price in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import BrokerAccount, Order, Run
from trading.accounts import BrokerName
from trading.orders import OrderState
from trading.runs import RunState


@dataclass(frozen=True, slots=True)
class BrokerCounts:
    broker: BrokerName
    accounts: int
    connected: int
    open_runs: int
    orders_today: int
    orders_rejected_today: int


async def read(session: AsyncSession, *, only: BrokerName | None, today: date, now: datetime) -> Sequence[BrokerCounts]:
    """One row per broker that has accounts, in the order of their names."""
    alive = BrokerAccount.deleted_at.is_(None)
    accounts = (
        select(
            BrokerAccount.broker,
            func.count().label("accounts"),
            func.count().filter(BrokerAccount.token_expires_at > now).label("connected"),
        )
        .where(alive)
        .group_by(BrokerAccount.broker)
        .order_by(BrokerAccount.broker)
    )
    if only is not None:
        accounts = accounts.where(BrokerAccount.broker == only)
    runs = (
        select(BrokerAccount.broker, func.count())
        .join(Run, Run.account_id == BrokerAccount.id)
        .where(Run.state != RunState.ENDED)
        .group_by(BrokerAccount.broker)
    )
    rejected = func.count().filter(Order.state == OrderState.REJECTED)
    orders = (
        select(BrokerAccount.broker, func.count(), rejected)
        .join(Order, Order.account_id == BrokerAccount.id)
        .where(Order.trading_day == today)
        .group_by(BrokerAccount.broker)
    )
    runs_of = {broker: count for broker, count in (await session.execute(runs)).all()}
    orders_of = {broker: (count, refused) for broker, count, refused in (await session.execute(orders)).all()}
    return [
        BrokerCounts(row.broker, row.accounts, row.connected, runs_of.get(row.broker, 0), *orders_of.get(row.broker, (0, 0)))
        for row in (await session.execute(accounts)).all()
    ]
