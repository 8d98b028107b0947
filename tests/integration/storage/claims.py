"""Claiming in tests: an entry or an exit that is due, by an owner, in a transaction of its own."""

from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from execution.claim import ClaimedOrder, WantedEntry, WantedExit, claim_entries, claim_exits, claim_judged
from storage.database import Database
from storage.models import Order
from tests.integration.storage.rows import NOW
from trading.orders import Leg
from trading.runs import ExitReason

ABOVE_STOP = Decimal("3600.00")
AT_STOP = Decimal("3500.00")
MONOTONIC = 500.0
A_SECOND = timedelta(seconds=1)


def wanted_entry(order: Order, *, reference: Decimal = ABOVE_STOP) -> WantedEntry:
    return WantedEntry(order.id, limit=Decimal("3618.00"), reference=reference, fired_by="desk", band_step=order.band_step)


def wanted_exit(order: Order, *, reason: ExitReason = ExitReason.STOP_LOSS, trigger: Decimal | None = AT_STOP) -> WantedExit:
    return WantedExit(
        order.id,
        limit=Decimal("3482.50"),
        reference=AT_STOP,
        reason=reason,
        wanted_at=NOW,
        fired_by="desk",
        trigger=trigger,
        band_step=2,
    )


async def claim_in(
    session: AsyncSession, entries: list[Order], *, owner: str = "worker-1", now: datetime = NOW
) -> list[ClaimedOrder]:
    """Claim entries in a transaction that the caller ends."""
    wanted = [wanted_entry(entry) for entry in entries]
    return (await claim_judged(session, wanted, owner=owner, now=now, monotonic=MONOTONIC)).claimed


async def claim(database: Database, *orders: Order, owner: str = "worker-1", now: datetime = NOW) -> list[ClaimedOrder]:
    """Claim what is due of one leg, at its stop if it is an exit."""
    if orders[0].leg is Leg.EXIT:
        leaving = [wanted_exit(order) for order in orders]
        return await claim_exits(database, leaving, owner=owner, now=now, monotonic=MONOTONIC)
    entries = [wanted_entry(order) for order in orders]
    return (await claim_entries(database, entries, owner=owner, now=now, monotonic=MONOTONIC)).claimed


async def claim_leaving(
    database: Database,
    order: Order,
    *,
    reason: ExitReason = ExitReason.STOP_LOSS,
    trigger: Decimal | None = None,
    now: datetime = NOW,
) -> list[ClaimedOrder]:
    wanted = [wanted_exit(order, reason=reason, trigger=trigger)]
    return await claim_exits(database, wanted, owner="worker-1", now=now, monotonic=MONOTONIC)
