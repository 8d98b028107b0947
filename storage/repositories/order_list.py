"""Orders as their owners see them: lists, and one order with its fills."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import FillRow, Order


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
