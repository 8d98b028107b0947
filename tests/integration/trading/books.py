"""Rows that fell behind the exchange, and processes that come and go, for tests of what is compared with the broker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from sqlalchemy import delete, select, update

from runtime.calendar import AlwaysOpen
from runtime.metrics import PrometheusMetrics
from runtime.trading import TradingRoom, open_trading_room
from storage.models import Alert, BrokerAccount, FillRow, Order, Run
from tests.integration.trading.world import World
from trading.orders import Leg, OrderState
from trading.runs import Position, RunState


async def holding(world: World, account: BrokerAccount, **plan: object) -> Run:
    """A run that has bought, whose entry has ended and whose exit is armed."""
    run = await world.start_run(account, **plan)  # type: ignore[arg-type]
    await world.until_holding(run)
    await world.until(run.id, lambda _, orders: orders[0].state is OrderState.FILLED, "the entry has ended")
    return run


async def alarms(world: World, account: BrokerAccount) -> dict[str, str]:
    """Open alarms of the account: message by kind."""
    async with world.database.transaction() as session:
        query = select(Alert).where(Alert.account_id == account.id, Alert.cleared_at.is_(None))
        return {alert.kind: alert.message for alert in await session.scalars(query)}


async def forget(world: World, run: Run, state: OrderState) -> None:
    """The rows go back to before the entry was acknowledged, as a database restored from a backup would have them."""
    async with world.database.transaction() as session:
        await session.execute(delete(FillRow).where(FillRow.run_id == run.id))
        await session.execute(delete(Order).where(Order.run_id == run.id, Order.leg == Leg.EXIT))
        unsent = {"owner": None, "send_by": None, "claimed_at": None, "sent_at": None} if state is OrderState.ARMED else {}
        blank = {"broker_order_id": None, "acknowledged_at": None, "filled_at": None, "ended_at": None, "late_ms": None}
        entry = {"state": state, "filled_quantity": 0, "average_price": Decimal(0), **blank, **unsent}
        await session.execute(update(Order).where(Order.run_id == run.id).values(**entry))
        empty = {"bought": 0, "buy_value": Decimal(0), "state": RunState.ENTERING, "position": Position.NONE, "last_action": None}
        await session.execute(update(Run).where(Run.id == run.id).values(**empty))


async def forget_the_exit(world: World, run: Run) -> None:
    """The rows go back to before the exit was claimed."""
    async with world.database.transaction() as session:
        leaving = select(Order.id).where(Order.run_id == run.id, Order.leg == Leg.EXIT)
        await session.execute(delete(FillRow).where(FillRow.order_id.in_(leaving)))
        unsent = {"owner": None, "send_by": None, "claimed_at": None, "sent_at": None, "reason": None, "wanted_at": None}
        blank = {"broker_order_id": None, "acknowledged_at": None, "filled_at": None, "ended_at": None, "late_ms": None}
        armed = {"state": OrderState.ARMED, "filled_quantity": 0, "average_price": Decimal(0), **blank, **unsent}
        await session.execute(update(Order).where(Order.id.in_(leaving)).values(**armed))
        held = {"sold": 0, "sell_value": Decimal(0), "state": RunState.HOLDING, "position": Position.BOUGHT}
        unwanted = {"exit_reason": None, "exit_wanted_at": None, "realised_pnl": Decimal(0)}
        await session.execute(update(Run).where(Run.id == run.id).values(**held, **unwanted))


@asynccontextmanager
async def another_worker(world: World) -> AsyncIterator[TradingRoom]:
    """A worker process that starts now, with no memory of anything."""
    room = open_trading_room(
        world.settings,
        database=world.database,
        redis=world.redis,
        accounts=world.accounts,
        instruments=world.accounts.instruments,
        calendar=AlwaysOpen(),
        clock=world.clock,
        metrics=PrometheusMetrics(),
    )
    room.start()
    try:
        yield room
    finally:
        await room.close()
