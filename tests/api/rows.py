"""Rows that other parts of the platform would have written."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from execution.alarm_kinds import kind_of
from execution.timeline import tell
from storage.appending import write_appended
from storage.models import Alert, FillRow, JobKind, JobState, Order, PlaygroundData, PlaygroundJob, Run, RunEvent, Strategy
from tests.api.conftest import Client, Platform
from trading.accounts import Environment
from trading.instruments import Product
from trading.orders import Leg, OrderState, Side
from trading.runs import EndReason, LastAction, Position, RunState, StrategyState
from trading.sessions import trading_date


async def add_run(platform: Platform, client: Client, broker_id: str, *, order_tag: str = "", **values: Any) -> Run:
    """An open run that has bought, of a strategy of its own unless `strategy_id` is given."""
    strategy_id = values.pop("strategy_id", None) or await client.create()
    now = platform.clock.now()
    run = Run(
        **{
            "strategy_id": strategy_id,
            "user_id": client.user_id,
            "account_id": broker_id,
            "strategy_version": 1,
            "environment": Environment.SIMULATED,
            "trading_day": trading_date(now),
            "workflow_id": f"strategy-{strategy_id}-{trading_date(now)}",
            "state": RunState.HOLDING,
            "exchange": "NSE",
            "symbol": "TCS",
            "product": Product.MIS,
            "quantity": 10,
            "buy_at": now - timedelta(minutes=1),
            "sell_at": now + timedelta(hours=5),
            "hand_over_at": now + timedelta(hours=6),
            "stop_loss": Decimal(3500),
            "bought": 10,
            "buy_value": Decimal(35_125),
            "position": Position.BOUGHT,
            "last_action": LastAction.BUY,
            **values,
        }
    )
    async with platform.services.database.transaction() as session:
        session.add(run)
        (await session.get_one(Strategy, strategy_id)).state = (
            StrategyState.COMPLETED if run.state is RunState.ENDED else StrategyState.RUNNING
        )
        await session.flush()
        if order_tag:
            session.add(order_of(run, order_tag, now=now))
    return run


def order_of(run: Run, tag: str, *, now: Any, **values: Any) -> Order:
    return Order(
        **{
            "run_id": run.id,
            "strategy_id": run.strategy_id,
            "user_id": run.user_id,
            "account_id": run.account_id,
            "trading_day": run.trading_day,
            "leg": Leg.ENTRY,
            "attempt": 1,
            "tag": tag,
            "state": OrderState.FILLED,
            "exchange": run.exchange,
            "symbol": run.symbol,
            "product": run.product,
            "side": Side.BUY,
            "quantity": run.quantity,
            "price": Decimal("3515.1234"),
            "filled_quantity": run.quantity,
            "average_price": Decimal("3512.5"),
            "stop_price": run.stop_loss,
            "sent_at": now,
            **values,
        }
    )


async def ended_run(platform: Platform, client: Client, broker_id: str, *, pnl: str, days_ago: int = 0, **values: Any) -> Run:
    now = platform.clock.now()
    defaults: dict[str, Any] = {
        "state": RunState.ENDED,
        "end_reason": EndReason.SOLD_AT_TIME,
        "realised_pnl": Decimal(pnl),
        "sold": 10,
        "sell_value": Decimal(35_125) + Decimal(pnl),
        "position": Position.SOLD,
        "trading_day": trading_date(now) - timedelta(days=days_ago),
        "ended_at": now,
    }
    return await add_run(platform, client, broker_id, **{**defaults, **values})


async def add_fill(platform: Platform, order: Order, *, price: str, quantity: int, trade_id: str) -> None:
    async with platform.services.database.transaction() as session:
        session.add(
            FillRow(
                order_id=order.id,
                run_id=order.run_id,
                user_id=order.user_id,
                account_id=order.account_id,
                broker_order_id="B1",
                trade_id=trade_id,
                quantity=quantity,
                price=Decimal(price),
                filled_at=platform.clock.now(),
            )
        )


async def add_alert(platform: Platform, user_id: str | None, *, key: str, kind: str | None = None) -> Alert:
    kind = kind or ("feed_silent" if user_id is None else "token_expired")
    alert = Alert(key=key, kind=kind, severity=kind_of(kind).severity, message="-", user_id=user_id)
    async with platform.services.database.transaction() as session:
        session.add(alert)
    return alert


async def add_event(platform: Platform, run: Run, message: str) -> int:
    """A line of the run's timeline, committed; its sequence."""
    async with platform.services.database.transaction() as session:
        tell(session, run, "test", message)
        await write_appended(session)
        return (await session.scalars(select(func.max(RunEvent.sequence)).where(RunEvent.run_id == run.id))).one()


async def add_prices(platform: Platform, client: Client, **values: Any) -> PlaygroundData:
    """A file of prices that nobody will read."""
    now = trading_date(platform.clock.now())
    defaults: dict[str, Any] = {
        **{"user_id": client.user_id, "name": "mine", "exchange": "NSE", "symbol": "TCS", "format": "csv", "bar_seconds": 60},
        **{"row_count": 375, "day_count": 1, "first_day": now, "last_day": now, "content": b"packed"},
    }
    data = PlaygroundData(**{**defaults, **values})
    async with platform.services.database.transaction() as session:
        session.add(data)
    return data


async def add_result(platform: Platform, client: Client, **values: Any) -> PlaygroundJob:
    """A backtest that is over, of one plan on the sample."""
    variant = {
        **{"number": 0, "exchange": "NSE", "symbol": "TCS", "product": "MIS", "quantity": 10, "buy_time": "09:30:00"},
        **{"sell_time": "15:00:00", "stop_loss": "3500", "stop_loss_percent": None},
    }
    request = {"instrument": {"symbol": "SAMPLE", "tick_size": "0.05"}, "is_listed": False, "variants": [variant]}
    defaults: dict[str, Any] = {
        **{"user_id": client.user_id, "kind": JobKind.BACKTEST, "state": JobState.COMPLETED, "request": request},
        **{"total": 1, "finished": 1, "result": {}},
    }
    job = PlaygroundJob(**{**defaults, **values})
    async with platform.services.database.transaction() as session:
        session.add(job)
    return job
