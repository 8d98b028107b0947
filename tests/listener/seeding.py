"""Rows the listener and the cache read, made in one call each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import update

from storage.database import Database
from storage.models import BrokerAccount, InstrumentRow, Order, Run, Strategy, User
from trading.accounts import BrokerName, Environment
from trading.instruments import Product, Segment
from trading.orders import Leg, OrderState, Side
from trading.runs import Position, RunState, StrategyState
from trading.sessions import trading_date

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Seeded:
    """Ids of one strategy's rows."""

    user_id: str
    account_id: str
    strategy_id: str
    run_id: str
    order_id: str
    workflow_id: str


async def add_user(database: Database, email: str = "trader@example.org") -> str:
    user = User(email=email, password_hash="-")
    async with database.transaction() as session:
        session.add(user)
    return user.id


async def add_account(
    database: Database,
    user_id: str,
    *,
    broker_user_id: str = "AB0001",
    expires_in: timedelta | None = timedelta(hours=8),
    broker: BrokerName = BrokerName.ZERODHA,
) -> str:
    """An account that is logged in, or, with `expires_in` None, one that never was."""
    account = BrokerAccount(
        user_id=user_id,
        broker=broker,
        environment=Environment.SIMULATED,
        broker_user_id=broker_user_id,
        sealed_api_key="-",
        sealed_api_secret="-",
        sealed_access_token="-" if expires_in is not None else None,
        token_expires_at=datetime.now(UTC) + expires_in if expires_in is not None else None,
        session_version=1 if expires_in is not None else 0,
    )
    async with database.transaction() as session:
        session.add(account)
    return account.id


async def add_instruments(database: Database, tokens: Mapping[str, int], *, circuit: tuple[str, str] | None = None) -> None:
    """NSE shares by symbol, with the token Zerodha would give them."""
    async with database.transaction() as session:
        for symbol, token in tokens.items():
            session.add(
                InstrumentRow(
                    exchange="NSE",
                    symbol=symbol,
                    segment=Segment.CASH,
                    tick_size=Decimal("0.05"),
                    lower_circuit=Decimal(circuit[0]) if circuit else None,
                    upper_circuit=Decimal(circuit[1]) if circuit else None,
                    broker_tokens={"zerodha": str(token)},
                    listed_on=trading_date(datetime.now(UTC)),
                )
            )


async def add_holding_run(
    database: Database, user_id: str, account_id: str, *, symbol: str = "TCS", stop: str = "3500", **run_values: Any
) -> Seeded:
    """A run that holds ten shares, with its exit armed at the stop."""
    now = datetime.now(UTC)
    day = trading_date(now)
    strategy = Strategy(
        user_id=user_id,
        account_id=account_id,
        exchange="NSE",
        symbol=symbol,
        product=Product.MIS,
        quantity=10,
        buy_time=time(9, 30),
        sell_time=time(15, 0),
        stop_loss=Decimal(stop),
        state=StrategyState.RUNNING,
    )
    values: dict[str, Any] = {
        "state": RunState.HOLDING,
        "position": Position.BOUGHT,
        "bought": 10,
        "buy_value": Decimal(36_000),
        "buy_at": LONG_AGO,
        "sell_at": now + timedelta(hours=3),
        "hand_over_at": now + timedelta(hours=4),
        **run_values,
    }
    run = Run(
        strategy_id=strategy.id,
        user_id=user_id,
        account_id=account_id,
        strategy_version=1,
        environment=Environment.SIMULATED,
        trading_day=day,
        workflow_id=f"strategy-{strategy.id}-{day.isoformat()}",
        exchange="NSE",
        symbol=symbol,
        product=Product.MIS,
        quantity=10,
        stop_loss=Decimal(stop),
        **values,
    )
    order = exit_order(run, day, created_at=LONG_AGO)
    async with database.transaction() as session:
        session.add(strategy)
        await session.flush()
        session.add(run)
        await session.flush()
        session.add(order)
    return Seeded(user_id, account_id, strategy.id, run.id, order.id, run.workflow_id)


def exit_order(run: Run, day: date, **values: Any) -> Order:
    return Order(
        run_id=run.id,
        strategy_id=run.strategy_id,
        user_id=run.user_id,
        account_id=run.account_id,
        trading_day=day,
        leg=Leg.EXIT,
        attempt=1,
        tag=run.id[-20:],
        state=OrderState.ARMED,
        exchange=run.exchange,
        symbol=run.symbol,
        product=run.product,
        side=Side.SELL,
        quantity=run.quantity,
        stop_price=run.stop_loss,
        fire_at=run.sell_at,
        **values,
    )


async def update_run(database: Database, run_id: str, **values: Any) -> None:
    async with database.transaction() as session:
        await session.execute(update(Run).where(Run.id == run_id).values(**values))


async def update_order(database: Database, order_id: str, **values: Any) -> None:
    async with database.transaction() as session:
        await session.execute(update(Order).where(Order.id == order_id).values(**values))


async def update_account(database: Database, account_id: str, **values: Any) -> None:
    async with database.transaction() as session:
        await session.execute(update(BrokerAccount).where(BrokerAccount.id == account_id).values(**values))
