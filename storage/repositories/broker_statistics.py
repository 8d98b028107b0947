"""What a broker's own staff may know of it: counts, rates, classes of errors. No account and no price of anybody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, extract, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import BrokerAccount, Order, Run, Strategy
from trading.accounts import BrokerName
from trading.orders import OrderState
from trading.runs import RunState, StrategyState

MOST_REFUSALS = 20


@dataclass(frozen=True, slots=True)
class OrderFigures:
    """Of orders that were sent on those days. Percentiles: milliseconds from our first byte to the acknowledgement."""

    sent: int = 0
    refused: int = 0
    in_doubt: int = 0
    filled_quantity: int = 0
    filled_value: Decimal = Decimal(0)
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class RecentRefusal:
    """`user_id` is for the caller to mask."""

    at: datetime
    kind: str
    user_id: str


@dataclass(frozen=True, slots=True)
class BrokerFigures:
    broker: BrokerName
    accounts: int
    connected: int
    users: int
    open_runs: int
    strategies: Mapping[StrategyState, int]
    orders_today: int
    orders_rejected_today: int
    orders: OrderFigures
    errors: Mapping[str, int]
    refusals: Sequence[RecentRefusal]


async def read(
    session: AsyncSession, *, only: BrokerName | None, from_day: date, today: date, now: datetime
) -> Sequence[BrokerFigures]:
    """One per broker that has accounts, in the order of their names. As many statements for many accounts as for one."""
    accounts = await _accounts(session, only, now)
    runs = await _open_runs(session)
    strategies = await _strategies(session)
    days = await _today(session, today)
    orders = await _orders(session, from_day)
    errors = await _errors(session, from_day)
    return [
        BrokerFigures(
            broker=row.broker,
            accounts=row.accounts,
            connected=row.connected,
            users=row.users,
            open_runs=runs.get(row.broker, 0),
            strategies=strategies.get(row.broker, {}),
            orders_today=days.get(row.broker, (0, 0))[0],
            orders_rejected_today=days.get(row.broker, (0, 0))[1],
            orders=orders.get(row.broker, OrderFigures()),
            errors=errors.get(row.broker, {}),
            refusals=await _refusals(session, row.broker, from_day),
        )
        for row in accounts
    ]


async def _accounts(session: AsyncSession, only: BrokerName | None, now: datetime) -> Sequence[Any]:
    statement = (
        select(
            BrokerAccount.broker,
            func.count().label("accounts"),
            func.count().filter(BrokerAccount.token_expires_at > now).label("connected"),
            func.count(BrokerAccount.user_id.distinct()).label("users"),
        )
        .where(BrokerAccount.deleted_at.is_(None))
        .group_by(BrokerAccount.broker)
        .order_by(BrokerAccount.broker)
    )
    if only is not None:
        statement = statement.where(BrokerAccount.broker == only)
    return (await session.execute(statement)).all()


async def _open_runs(session: AsyncSession) -> dict[BrokerName, int]:
    statement = select(BrokerAccount.broker, func.count()).join(Run, Run.account_id == BrokerAccount.id)
    grouped = statement.where(Run.state != RunState.ENDED).group_by(BrokerAccount.broker)
    return {broker: count for broker, count in (await session.execute(grouped)).all()}


async def _strategies(session: AsyncSession) -> dict[BrokerName, dict[StrategyState, int]]:
    """By the account a strategy is for, else by that of its runs."""
    account_id = func.coalesce(
        Strategy.account_id,
        select(Run.account_id).where(Run.strategy_id == Strategy.id).order_by(Run.id.desc()).limit(1).scalar_subquery(),
    )
    statement = (
        select(BrokerAccount.broker, Strategy.state, func.count())
        .join(BrokerAccount, BrokerAccount.id == account_id)
        .where(Strategy.deleted_at.is_(None))
        .group_by(BrokerAccount.broker, Strategy.state)
    )
    found: dict[BrokerName, dict[StrategyState, int]] = {}
    for broker, state, count in (await session.execute(statement)).all():
        found.setdefault(broker, {})[state] = count
    return found


def _of_orders(*columns: Any) -> Select[Any]:
    return select(BrokerAccount.broker, *columns).join(Order, Order.account_id == BrokerAccount.id)


async def _today(session: AsyncSession, today: date) -> dict[BrokerName, tuple[int, int]]:
    rejected = func.count().filter(Order.state == OrderState.REJECTED)
    statement = _of_orders(func.count(), rejected).where(Order.trading_day == today).group_by(BrokerAccount.broker)
    return {broker: (count, refused) for broker, count, refused in (await session.execute(statement)).all()}


async def _orders(session: AsyncSession, from_day: date) -> dict[BrokerName, OrderFigures]:
    answered_ms = extract("epoch", Order.acknowledged_at - Order.sent_at) * 1000
    is_answered = Order.acknowledged_at.is_not(None)
    shares = [func.percentile_cont(share).within_group(answered_ms).filter(is_answered) for share in (0.5, 0.95, 0.99)]
    statement = _of_orders(
        func.count(),
        func.count().filter(Order.state == OrderState.REJECTED),
        func.count().filter(Order.state.in_([OrderState.UNKNOWN, OrderState.SENDING])),
        func.coalesce(func.sum(Order.filled_quantity), 0),
        func.coalesce(func.sum(Order.filled_quantity * Order.average_price), 0),
        *shares,
    ).where(Order.trading_day >= from_day, Order.state.not_in([OrderState.ARMED, OrderState.SUPERSEDED]))
    found = {}
    for broker, sent, refused, doubt, quantity, value, *latencies in (
        await session.execute(statement.group_by(BrokerAccount.broker))
    ).all():
        measured = [None if one is None else round(float(one), 1) for one in latencies]
        found[broker] = OrderFigures(sent, refused, doubt, int(quantity), Decimal(value), *measured)
    return found


async def _errors(session: AsyncSession, from_day: date) -> dict[BrokerName, dict[str, int]]:
    statement = _of_orders(Order.refusal, func.count()).where(Order.trading_day >= from_day, Order.refusal.is_not(None))
    found: dict[BrokerName, dict[str, int]] = {}
    for broker, refusal, count in (await session.execute(statement.group_by(BrokerAccount.broker, Order.refusal))).all():
        found.setdefault(broker, {})[refusal] = count
    return found


async def _refusals(session: AsyncSession, broker: BrokerName, from_day: date) -> Sequence[RecentRefusal]:
    """The newest; there are four brokers at most."""
    statement = (
        select(Order.ended_at, Order.created_at, Order.refusal, Order.user_id)
        .join(BrokerAccount, BrokerAccount.id == Order.account_id)
        .where(BrokerAccount.broker == broker, Order.trading_day >= from_day, Order.refusal.is_not(None))
        .order_by(Order.id.desc())
        .limit(MOST_REFUSALS)
    )
    found = (await session.execute(statement)).all()
    return [RecentRefusal(ended or created, kind or "", user) for ended, created, kind, user in found]
