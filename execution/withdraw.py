"""Taking armed orders back before they have left, and saying why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from execution.rows import lock_run
from execution.timeline import rupees, tell
from storage.any_of import any_of
from storage.models import Order, Run
from trading.orders import Leg, OrderState, SupersededFor
from trading.risk import Refusal


async def supersede_armed(session: AsyncSession, run_ids: Sequence[str], leg: Leg, why: SupersededFor) -> frozenset[str]:
    """The armed orders of that leg never leave. Returns the runs that had one; the caller holds the runs."""
    statement = (
        update(Order)
        .where(Order.run_id == any_of(run_ids), Order.leg == leg, Order.state == OrderState.ARMED)
        .values(state=OrderState.SUPERSEDED, revision=Order.revision + 1, superseded_for=why)
        .returning(Order.run_id)
    )
    return frozenset(await session.scalars(statement))


@dataclass(frozen=True, slots=True)
class ArmedEntry:
    run_id: str
    order_id: str


async def skip_entry(session: AsyncSession, entry: ArmedEntry, *, price: Decimal, now: datetime) -> None:
    """At its stop, or at its target, there is nothing to buy: it would be sold again at once. Does nothing if they have moved."""
    run, order = await _lock(session, entry)
    if run is None or order is None:
        return
    if order.stop_price is not None and price <= order.stop_price:
        why, what = SupersededFor.PRICE_AT_STOP, f"at or below the stop-loss {rupees(order.stop_price)}"
    elif order.target_price is not None and price >= order.target_price:
        why, what = SupersededFor.PRICE_AT_TARGET, f"at or above the target {rupees(order.target_price)}"
    else:
        return
    _withdraw(order, why, now)
    order.reference_price = price
    tell(session, run, "entry_skipped", f"Not bought: the price {rupees(price)} is {what}", price=price)


async def refuse_entry(session: AsyncSession, entry: ArmedEntry, refusal: Refusal, *, now: datetime) -> None:
    """The claim found it over a limit of its account."""
    run, order = await _lock(session, entry)
    if run is None or order is None:
        return
    _withdraw(order, SupersededFor.RISK_LIMIT, now)
    order.message = f"{refusal.code}: {refusal.message}"
    tell(session, run, "denied", f"Not bought: {refusal.message}")


async def _lock(session: AsyncSession, entry: ArmedEntry) -> tuple[Run | None, Order | None]:
    """The order if it is still armed. The run is locked first, as everywhere: the line of its timeline refers to it."""
    locked = await lock_run(session, entry.run_id)
    if locked is None:
        return None, None
    run, orders = locked
    armed = (order for order in orders if order.id == entry.order_id and order.state is OrderState.ARMED)
    return run, next(armed, None)


def _withdraw(order: Order, why: SupersededFor, now: datetime) -> None:
    order.state, order.superseded_for, order.ended_at = OrderState.SUPERSEDED, why, now
    order.revision += 1
