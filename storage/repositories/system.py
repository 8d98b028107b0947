"""Counts and states over the whole installation, for Admins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.ids import id_at
from storage.models import Alert, BrokerAccount, DeskLease, Order, OrderLog, Run, Strategy, User
from trading.accounts import BrokerName
from trading.orders import IN_DOUBT_STATES
from trading.runs import RunState


@dataclass(frozen=True, slots=True)
class Counts:
    users: int
    strategies: int
    open_runs: int
    orders_in_doubt: int
    open_alerts: int


@dataclass(frozen=True, slots=True)
class Leases:
    """Accounts by the worker that runs their desk, as of the database's clock; expired ones belong to nobody."""

    by_owner: Mapping[str, int]
    expired: int


@dataclass(frozen=True, slots=True)
class PostgresState:
    version: str
    size_bytes: int
    connections: int
    most_connections: int
    longest_transaction_seconds: float
    waiting_for_locks: int


@dataclass(frozen=True, slots=True)
class Writes:
    """Order writes (sent, changed, cancelled) of one account in each window, in the order asked for."""

    account_id: str
    broker: BrokerName
    used: Sequence[int]


_POSTGRES = text(
    """
    SELECT current_setting('server_version') AS version, pg_database_size(current_database()) AS size_bytes,
           count(*) AS connections, current_setting('max_connections')::int AS most_connections,
           COALESCE(max(EXTRACT(epoch FROM clock_timestamp() - xact_start)) FILTER (WHERE state <> 'idle'), 0)::float AS longest,
           count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting
    FROM pg_stat_activity WHERE datname = current_database()
    """
)


async def read(session: AsyncSession) -> Counts:
    users = select(func.count()).where(User.deleted_at.is_(None)).scalar_subquery()
    strategies = select(func.count()).where(Strategy.deleted_at.is_(None)).scalar_subquery()
    runs = select(func.count()).where(Run.state != RunState.ENDED).scalar_subquery()
    doubts = select(func.count()).where(Order.state.in_(IN_DOUBT_STATES)).scalar_subquery()
    alerts = select(func.count()).where(Alert.cleared_at.is_(None)).scalar_subquery()
    row = (await session.execute(select(users, strategies, runs, doubts, alerts))).one()
    return Counts(*row)


async def leases(session: AsyncSession) -> Leases:
    is_held = DeskLease.expires_at > func.clock_timestamp()
    owned = select(DeskLease.owner, func.count()).where(is_held, DeskLease.owner.is_not(None)).group_by(DeskLease.owner)
    by_owner = {owner: count for owner, count in (await session.execute(owned.order_by(DeskLease.owner))).all() if owner}
    expired = select(func.count()).where(~is_held, DeskLease.owner.is_not(None))
    return Leases(by_owner, await session.scalar(expired) or 0)


async def postgres(session: AsyncSession) -> PostgresState:
    row = (await session.execute(_POSTGRES)).one()
    return PostgresState(row.version, row.size_bytes, row.connections, row.most_connections, row.longest, row.waiting)


async def writes(session: AsyncSession, *, windows: Sequence[int], now: datetime, most: int) -> Sequence[Writes]:
    """The busiest accounts first; `windows` are seconds back from now. Read from the log of every request."""
    if not windows:
        return []
    counts = [func.count().filter(OrderLog.id >= id_at(OrderLog.id_prefix, now - timedelta(seconds=one))) for one in windows]
    statement = (
        select(OrderLog.account_id, BrokerAccount.broker, *counts)
        .join(BrokerAccount, BrokerAccount.id == OrderLog.account_id)
        .where(OrderLog.id >= id_at(OrderLog.id_prefix, now - timedelta(seconds=max(windows))))
        .group_by(OrderLog.account_id, BrokerAccount.broker)
        .order_by(func.count().desc(), OrderLog.account_id)
        .limit(most)
    )
    return [Writes(row[0], row[1], list(row[2:])) for row in (await session.execute(statement)).all()]
