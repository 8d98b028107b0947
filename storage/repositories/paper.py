"""Rows of paper accounts. Whoever changes anything of an account, or concludes that something is not there, holds its row."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import PaperAccount, PaperHolding, PaperOrder, PaperTrade
from trading.instruments import InstrumentId, Product
from trading.orders import BrokerOrderStatus


async def lock(session: AsyncSession, account_id: str) -> PaperAccount | None:
    """The account, locked until the transaction ends: nothing of it is half done while the lock is held."""
    statement = select(PaperAccount).where(PaperAccount.account_id == account_id).with_for_update()
    return await session.scalar(statement.execution_options(populate_existing=True))


async def find(session: AsyncSession, *, account_id: str, user_id: str) -> PaperAccount | None:
    statement = select(PaperAccount).where(PaperAccount.account_id == account_id, PaperAccount.user_id == user_id)
    return await session.scalar(statement)


async def by_tag(session: AsyncSession, account_id: str, tag: str) -> PaperOrder | None:
    return await session.scalar(select(PaperOrder).where(PaperOrder.account_id == account_id, PaperOrder.tag == tag))


async def by_id(session: AsyncSession, account_id: str, order_id: str) -> PaperOrder | None:
    return await session.scalar(select(PaperOrder).where(PaperOrder.account_id == account_id, PaperOrder.id == order_id))


async def open_orders(session: AsyncSession, account_id: str) -> Sequence[PaperOrder]:
    """Oldest first."""
    statement = select(PaperOrder).where(PaperOrder.account_id == account_id, PaperOrder.state == BrokerOrderStatus.OPEN)
    return (await session.scalars(statement.order_by(PaperOrder.created_at, PaperOrder.id))).all()


async def waiting(session: AsyncSession) -> dict[str, set[InstrumentId]]:
    """Accounts with open orders, and what those are in."""
    columns = (PaperOrder.account_id, PaperOrder.exchange, PaperOrder.symbol)
    found: dict[str, set[InstrumentId]] = {}
    for account_id, exchange, symbol in await session.execute(
        select(*columns).where(PaperOrder.state == BrokerOrderStatus.OPEN).distinct()
    ):
        found.setdefault(account_id, set()).add(InstrumentId(exchange, symbol))
    return found


async def orders_of_day(session: AsyncSession, account_id: str, day: date) -> Sequence[PaperOrder]:
    statement = select(PaperOrder).where(PaperOrder.account_id == account_id, PaperOrder.trading_day == day)
    return (await session.scalars(statement.order_by(PaperOrder.created_at, PaperOrder.id))).all()


async def changed_since(session: AsyncSession, account_id: str, sequence: int) -> Sequence[PaperOrder]:
    """Orders that changed after that, in the order of their last change."""
    statement = select(PaperOrder).where(PaperOrder.account_id == account_id, PaperOrder.sequence > sequence)
    return (await session.scalars(statement.order_by(PaperOrder.sequence))).all()


async def trades_of_day(session: AsyncSession, account_id: str, day: date) -> Sequence[PaperTrade]:
    statement = select(PaperTrade).where(PaperTrade.account_id == account_id, PaperTrade.trading_day == day)
    return (await session.scalars(statement.order_by(PaperTrade.filled_at, PaperTrade.id))).all()


async def holdings(session: AsyncSession, account_id: str) -> Sequence[PaperHolding]:
    statement = select(PaperHolding).where(PaperHolding.account_id == account_id)
    return (await session.scalars(statement.order_by(PaperHolding.exchange, PaperHolding.symbol, PaperHolding.product))).all()


async def holding(session: AsyncSession, account_id: str, instrument: InstrumentId, product: Product) -> PaperHolding | None:
    statement = select(PaperHolding).where(
        PaperHolding.account_id == account_id,
        PaperHolding.exchange == instrument.exchange,
        PaperHolding.symbol == instrument.symbol,
        PaperHolding.product == product,
    )
    return await session.scalar(statement)
