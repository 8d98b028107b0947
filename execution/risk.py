"""What may not be bought: our own checks, made when an entry is armed. The kill switch is asked again inside the claim."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from execution.rows import load_kill_switches
from storage.models import BrokerAccount, Order, RiskLimit, Run
from trading.orders import Leg, OrderState
from trading.runs import RunState


@dataclass(frozen=True, slots=True)
class Denied:
    """A local refusal, with a code that the API documents."""

    code: str
    message: str


async def check_entry(
    session: AsyncSession, run: Run, account: BrokerAccount | None, *, now: datetime, last_price: Decimal | None
) -> Denied | None:
    """Why this run may not buy now, or None. Without a `last_price` (none is known) limits by value are not judged."""
    if account is None or account.deleted_at is not None or account.sealed_access_token is None:
        return Denied("BROKER_NOT_CONNECTED", "the broker account is not connected")
    if account.token_expires_at is not None and account.token_expires_at <= now:
        return Denied("BROKER_SESSION_EXPIRED", "the broker login has expired: log in again")
    if account.environment is not run.environment:
        return Denied(
            "WRONG_ENVIRONMENT", f"the run was started as {run.environment.value}, the account is {account.environment.value}"
        )
    if (await load_kill_switches(session)).lock(run):
        return Denied("KILL_SWITCH_ENGAGED", "the kill switch is engaged")
    limits = await session.scalar(select(RiskLimit).where(RiskLimit.account_id == run.account_id))
    return None if limits is None else await _over_limit(session, run, limits, last_price)


async def _over_limit(session: AsyncSession, run: Run, limits: RiskLimit, last_price: Decimal | None) -> Denied | None:
    value = None if last_price is None else last_price * run.quantity
    if limits.max_order_value is not None and value is not None and value > limits.max_order_value:
        return Denied("MAX_ORDER_VALUE", f"the order is worth {value:.2f}, the limit is {limits.max_order_value:.2f}")
    if limits.max_orders_per_day is not None:
        sent = await _orders_today(session, run)
        if sent >= limits.max_orders_per_day:
            return Denied("MAX_ORDERS_PER_DAY", f"{sent} orders were sent today, the limit is {limits.max_orders_per_day}")
    if limits.max_open_value is not None and value is not None:
        held = await _open_value(session, run)
        if held + value > limits.max_open_value:
            return Denied("MAX_OPEN_VALUE", f"{held + value:.2f} would be open, the limit is {limits.max_open_value:.2f}")
    if limits.max_daily_loss is not None:
        loss = -await _pnl_today(session, run)
        if loss >= limits.max_daily_loss:
            return Denied("MAX_DAILY_LOSS", f"today's loss is {loss:.2f}, the limit is {limits.max_daily_loss:.2f}")
    return None


async def _orders_today(session: AsyncSession, run: Run) -> int:
    never_sent = (OrderState.ARMED, OrderState.SUPERSEDED)
    query = select(func.count()).where(
        Order.account_id == run.account_id,
        Order.trading_day == run.trading_day,
        Order.state.not_in(never_sent),
        Order.leg == Leg.ENTRY,
    )
    return int(await session.scalar(query) or 0)


async def _open_value(session: AsyncSession, run: Run) -> Decimal:
    open_quantity = Run.bought - Run.sold - Run.taken_elsewhere
    value = func.sum(Run.buy_value * open_quantity / func.nullif(Run.bought, 0))
    query = select(value).where(Run.account_id == run.account_id, Run.state != RunState.ENDED, Run.bought > 0)
    return Decimal(await session.scalar(query) or 0)


async def _pnl_today(session: AsyncSession, run: Run) -> Decimal:
    query = select(func.sum(Run.realised_pnl)).where(Run.account_id == run.account_id, Run.trading_day == run.trading_day)
    return Decimal(await session.scalar(query) or 0)
