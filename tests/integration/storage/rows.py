"""Rows that tests begin with: a user's account, a strategy's run, and armed orders of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from execution.arming import new_attempt
from storage.database import Database
from storage.ids import new_id
from storage.models import Base, BrokerAccount, DeskLease, Order, Run, Strategy, User
from trading.accounts import BrokerName, Environment
from trading.instruments import Product
from trading.orders import Leg
from trading.runs import RunState

DAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
STOP = Decimal("3500.00")


class FixedClock:
    """Always `NOW`."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


@dataclass(frozen=True)
class Rows:
    """Makes rows, each call in a transaction of its own, and reads them back."""

    database: Database

    async def account(self) -> BrokerAccount:
        user = User(email=f"{new_id('mail')}@example.org", password_hash="-")
        account = BrokerAccount(
            user_id=user.id,
            broker=BrokerName.ZERODHA,
            environment=Environment.SIMULATED,
            broker_user_id=user.id,
            sealed_api_key="-",
            sealed_api_secret="-",
        )
        await self.store(user)
        await self.store(account)
        return account

    async def strategy(self, account: BrokerAccount) -> Strategy:
        strategy = Strategy(
            user_id=account.user_id,
            account_id=account.id,
            exchange="NSE",
            symbol="TCS",
            product=Product.MIS,
            quantity=10,
            buy_time=time(9, 30),
            sell_time=time(15, 0),
            stop_loss=STOP,
        )
        await self.store(strategy)
        return strategy

    async def run(self, account: BrokerAccount, strategy: Strategy | None = None, **changes: Any) -> Run:
        run = unsaved_run(account, strategy or await self.strategy(account), **changes)
        await self.store(run)
        return run

    async def order(self, run: Run, leg: Leg, **changes: Any) -> Order:
        """Armed and due: an entry whose time has come, or an exit of all that the run holds."""
        order = unsaved_order(run, leg, **changes)
        await self.store(order)
        return order

    async def lease(self, account: BrokerAccount) -> DeskLease:
        lease = DeskLease(account_id=account.id)
        await self.store(lease)
        return lease

    async def store(self, *rows: Base) -> None:
        async with self.database.transaction() as session:
            session.add_all(rows)

    async def change(self, row: Base, **values: Any) -> None:
        kind: Any = type(row)
        async with self.database.transaction() as session:
            await session.execute(update(kind).where(kind.id == row.id).values(**values))  # type: ignore[attr-defined]

    async def clock(self) -> datetime:
        """What time it is for the database."""
        async with self.database.transaction() as session:
            now: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
            return now

    async def orders(self, orders: Iterable[Order]) -> list[Order]:
        """Those orders as they are now, in the order of their ids."""
        async with self.database.transaction() as session:
            return await _orders(session, [order.id for order in orders])

    async def fresh(self, order: Order) -> Order:
        return (await self.orders([order]))[0]


async def _orders(session: AsyncSession, ids: list[str]) -> list[Order]:
    return list(await session.scalars(select(Order).where(Order.id.in_(ids)).order_by(Order.id)))


def unsaved_run(account: BrokerAccount, strategy: Strategy, **changes: Any) -> Run:
    values: dict[str, Any] = {
        "strategy_id": strategy.id,
        "user_id": account.user_id,
        "account_id": account.id,
        "strategy_version": 1,
        "environment": account.environment,
        "trading_day": DAY,
        "workflow_id": f"strategy-{strategy.id}",
        "state": RunState.ENTERING,
        "exchange": "NSE",
        "symbol": "TCS",
        "product": Product.MIS,
        "quantity": 10,
        "buy_at": NOW,
        "sell_at": NOW + timedelta(hours=5),
        "hand_over_at": NOW + timedelta(hours=6),
        "stop_loss": STOP,
        "stop_version": 1,
        "bought": 0,
        "sold": 0,
        "taken_elsewhere": 0,
        "leave_open": False,
    }
    return Run(**{**values, **changes})


def unsaved_order(run: Run, leg: Leg, **changes: Any) -> Order:
    quantity = run.quantity if leg is Leg.ENTRY else run.bought - run.sold - run.taken_elsewhere
    order = new_attempt(run, leg, changes.pop("attempt", 1), quantity=changes.pop("quantity", quantity))
    if leg is Leg.ENTRY:
        order.fire_at, order.deadline_at = NOW, NOW + timedelta(seconds=20)
    else:
        order.fire_at = run.sell_at
    for name, value in changes.items():
        setattr(order, name, value)
    return order
