"""Orders and results as their owners see them: lists, one order with its fills, sums."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import Numeric, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import FillRow, Order, Run, Strategy
from trading.runs import EndReason, RunState


async def page(
    session: AsyncSession, *, user_id: str, strategy_id: str | None, run_id: str | None, before: str | None, limit: int
) -> Sequence[Order]:
    """Newest first; ids grow with time."""
    statement = select(Order).where(Order.user_id == user_id)
    if strategy_id is not None:
        statement = statement.where(Order.strategy_id == strategy_id)
    if run_id is not None:
        statement = statement.where(Order.run_id == run_id)
    if before is not None:
        statement = statement.where(Order.id < before)
    return (await session.scalars(statement.order_by(Order.id.desc()).limit(limit))).all()


async def find(session: AsyncSession, *, order_id: str, user_id: str) -> Order | None:
    return await session.scalar(select(Order).where(Order.id == order_id, Order.user_id == user_id))


async def fills_of(session: AsyncSession, *, order_id: str, user_id: str) -> Sequence[FillRow]:
    statement = select(FillRow).where(FillRow.order_id == order_id, FillRow.user_id == user_id)
    return (await session.scalars(statement.order_by(FillRow.filled_at, FillRow.id))).all()


async def tags_of(session: AsyncSession, *, account_id: str, user_id: str, trading_day: date) -> frozenset[str]:
    """Tags of our own orders on the account that day."""
    statement = select(Order.tag).where(
        Order.account_id == account_id, Order.user_id == user_id, Order.trading_day == trading_day
    )
    return frozenset((await session.scalars(statement)).all())


@dataclass(frozen=True, slots=True)
class Totals:
    """Over ended runs; money in rupees."""

    strategies: int
    open_runs: int
    ended_runs: int
    traded_runs: int
    winning_runs: int
    losing_runs: int
    realised_pnl: Decimal
    realised_pnl_today: Decimal
    end_reasons: dict[EndReason, int]


async def totals(session: AsyncSession, *, user_id: str, today: date) -> Totals:
    ended = Run.state == RunState.ENDED
    pnl = cast(Run.realised_pnl, Numeric)
    counts = select(
        func.count().filter(~ended).label("open_runs"),
        func.count().filter(ended).label("ended_runs"),
        func.count().filter(ended, Run.bought > 0).label("traded_runs"),
        func.count().filter(ended, Run.bought > 0, pnl > 0).label("winning_runs"),
        func.count().filter(ended, Run.bought > 0, pnl < 0).label("losing_runs"),
        func.coalesce(func.sum(pnl).filter(ended), 0).label("realised_pnl"),
        func.coalesce(func.sum(case((Run.trading_day == today, pnl), else_=0)).filter(ended), 0).label("today"),
    ).where(Run.user_id == user_id)
    row = (await session.execute(counts)).one()
    strategies = select(func.count()).where(Strategy.user_id == user_id, Strategy.deleted_at.is_(None))
    reasons = (
        select(Run.end_reason, func.count()).where(Run.user_id == user_id, Run.end_reason.is_not(None)).group_by(Run.end_reason)
    )
    return Totals(
        strategies=(await session.scalar(strategies)) or 0,
        open_runs=row.open_runs,
        ended_runs=row.ended_runs,
        traded_runs=row.traded_runs,
        winning_runs=row.winning_runs,
        losing_runs=row.losing_runs,
        realised_pnl=Decimal(row.realised_pnl),
        realised_pnl_today=Decimal(row.today),
        end_reasons={reason: count for reason, count in (await session.execute(reasons)).all() if reason is not None},
    )


@dataclass(frozen=True, slots=True)
class DaySum:
    trading_day: date
    runs: int
    realised_pnl: Decimal


async def pnl_by_day(session: AsyncSession, *, user_id: str, from_day: date, to_day: date) -> Sequence[DaySum]:
    """Ended runs that bought something, by trading day, oldest first."""
    statement = (
        select(Run.trading_day, func.count(), func.sum(Run.realised_pnl))
        .where(
            Run.user_id == user_id,
            Run.state == RunState.ENDED,
            Run.bought > 0,
            Run.trading_day >= from_day,
            Run.trading_day <= to_day,
        )
        .group_by(Run.trading_day)
        .order_by(Run.trading_day)
    )
    return [DaySum(day, runs, pnl) for day, runs, pnl in (await session.execute(statement)).all()]
