"""What may not be bought: our own checks, made when an entry is armed. The claim asks the kill switch and the limits again."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from execution.limits import limits_of, load_usage
from execution.rows import load_kill_switches
from storage.models import Alert, BrokerAccount, RiskLimit, Run
from storage.repositories import switches
from trading.risk import Limits, Refusal, refuse
from trading.sessions import trading_date


async def check_entry(
    session: AsyncSession,
    run: Run,
    account: BrokerAccount | None,
    *,
    now: datetime,
    last_price: Decimal | None,
    defaults: Limits,
) -> Refusal | None:
    """Why this run may not buy now, or None. Without a `last_price` (none is known) limits by value are not judged."""
    if account is None or account.deleted_at is not None or account.sealed_access_token is None:
        return Refusal("BROKER_NOT_CONNECTED", "the broker account is not connected")
    if account.token_expires_at is not None and account.token_expires_at <= now:
        return Refusal("BROKER_SESSION_EXPIRED", "the broker login has expired: log in again")
    if account.environment is not run.environment:
        return Refusal(
            "WRONG_ENVIRONMENT", f"the run was started as {run.environment.value}, the account is {account.environment.value}"
        )
    kills = await load_kill_switches(session)
    if kills.lock(run):
        return Refusal("KILL_SWITCH_ENGAGED", "the kill switch is engaged")
    if kills.suspend(run):
        return Refusal("USER_SUSPENDED", "the user is suspended")
    found = await switches.load(session)
    if account.broker in found.brokers_off:
        return Refusal("BROKER_SWITCHED_OFF", found.why_broker_is_off(account.broker))
    if await has_unknown_order(session, run.account_id):
        return Refusal("ORDER_UNKNOWN", "the account has an order with a tag of ours that nobody knows: look at it first")
    value = None if last_price is None else last_price * run.quantity
    return await over_limit(session, run, value=value, now=now, defaults=defaults, buys_now=True)


async def has_unknown_order(session: AsyncSession, account_id: str) -> bool:
    """Whether an alarm of that kind is up that nobody has acknowledged. The claim asks the same."""
    unseen = select(Alert.id).where(
        Alert.account_id == account_id,
        Alert.kind == "order_unknown",
        Alert.cleared_at.is_(None),
        Alert.acknowledged_at.is_(None),
    )
    return await session.scalar(unseen.limit(1)) is not None


async def over_limit(
    session: AsyncSession, run: Run, *, value: Decimal | None, now: datetime, defaults: Limits, buys_now: bool
) -> Refusal | None:
    """Which limit of its account an entry of that value would break, entries that are armed already counted in.

    What cannot be known before it buys is not judged before: what will be open then, and what another day will have used.
    """
    row = await session.scalar(select(RiskLimit).where(RiskLimit.account_id == run.account_id))
    limits = limits_of(row, defaults, today=run.trading_day)
    if not buys_now:
        limits = replace(limits, max_open_value=None)
    if run.trading_day != trading_date(now):
        limits = replace(limits, max_orders_per_day=None, max_daily_loss=None)
    if not limits.is_any_set:
        return None
    usage = await load_usage(session, [run.account_id], day=run.trading_day, with_reservations=buys_now)
    return refuse(limits, usage[run.account_id], value)
