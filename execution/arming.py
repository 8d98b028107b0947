"""Arming: the row of an order that is wanted later, written before its moment, with the condition under which it leaves."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import Order, Run
from trading.orders import Leg, OrderState
from trading.tags import make_tag


def new_attempt(run: Run, leg: Leg, attempt: int, *, quantity: int) -> Order:
    """An armed row for that attempt; its tag follows from run, leg and attempt alone."""
    return Order(
        run_id=run.id,
        strategy_id=run.strategy_id,
        user_id=run.user_id,
        account_id=run.account_id,
        trading_day=run.trading_day,
        leg=leg,
        attempt=attempt,
        tag=make_tag(run.id, leg=leg, attempt=attempt, trading_day=run.trading_day),
        state=OrderState.ARMED,
        exchange=run.exchange,
        symbol=run.symbol,
        product=run.product,
        side=leg.side,
        quantity=quantity,
        stop_price=run.stop_loss,
        stop_version=run.stop_version,
        target_price=run.target_price,
    )


def arm_entry(session: AsyncSession, run: Run, *, attempt: int, quantity: int, fire_at: datetime, deadline_at: datetime) -> Order:
    """An entry that leaves at `fire_at` (or as soon after as it can, until `deadline_at`) unless the price is at its stop or
    target."""
    order = new_attempt(run, Leg.ENTRY, attempt, quantity=quantity)
    order.fire_at, order.deadline_at = fire_at, deadline_at
    session.add(order)
    return order


def arm_exit(
    session: AsyncSession, run: Run, *, attempt: int, quantity: int, band_step: int, wanted_at: datetime | None
) -> Order:
    """An exit that leaves at its stop, its target or the sell time, whichever comes first; with `wanted_at`, at once."""
    order = new_attempt(run, Leg.EXIT, attempt, quantity=quantity)
    order.fire_at, order.band_step, order.wanted_at = run.sell_at, band_step, wanted_at
    session.add(order)
    return order
