"""Risk limits inside the claim: entries of one account are admitted one after the other, however many workers claim them.

The lock is an advisory one per account that has limits, taken in one order by everyone and held until the claim commits. Whoever
holds it waits for nothing else: order rows are locked with SKIP LOCKED. So two claims never wait for each other in a circle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import ARRAY, String, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.any_of import any_of
from storage.database import Database
from storage.models import Order, RiskLimit
from storage.single import SingleStatement
from trading.risk import Candidate, Limits, Refusal, Usage, admit

# With an account's hash it is a pair of numbers, which Postgres keeps apart from our single ones.
_ACCOUNT_LOCK = 3_114_570


@dataclass(frozen=True, slots=True)
class DueEntry:
    """An entry whose row is locked by this claim."""

    order_id: str
    account_id: str
    trading_day: date
    quantity: int


def limits_of(row: RiskLimit | None, defaults: Limits, *, today: date) -> Limits:
    """The limits in force: the account's own, and the platform's where it has none."""
    if row is None:
        return defaults
    own = Limits(
        max_order_value=row.max_order_value,
        max_open_value=row.max_open_value,
        max_orders_per_day=row.max_orders_per_day,
        max_daily_loss=row.max_daily_loss,
        square_off_on_loss=row.square_off_on_loss,
        loss_at_trip=row.loss_at_trip if row.loss_tripped_on == today else None,
    )
    return own.or_else(defaults)


@dataclass(frozen=True, slots=True)
class Limited:
    """Which of some orders belong to accounts with limits, and the limits of these accounts."""

    order_ids: frozenset[str]
    of_account: Mapping[str, Limits]


_HAVE_OWN = SingleStatement(
    text(
        """
        SELECT EXISTS (SELECT 1 FROM orders o JOIN risk_limits l ON l.account_id = o.account_id
                       WHERE o.id = ANY(CAST(:order_ids AS text[]))) AS answer
        """
    )
)


async def have_own_limits(database: Database, order_ids: Sequence[str]) -> bool:
    """Whether any of the orders belongs to an account with limits of its own. Most herds have none to be judged by."""
    (row,) = await database.fetch(_HAVE_OWN, {"order_ids": list(order_ids)})
    return bool(row["answer"])


async def load_limits(session: AsyncSession, order_ids: Sequence[str], *, defaults: Limits, today: date) -> Limited:
    query = (
        select(Order.id, Order.account_id, RiskLimit)
        .outerjoin(RiskLimit, RiskLimit.account_id == Order.account_id)
        .where(Order.id == any_of(order_ids))
    )
    found = [
        (order_id, account_id, limits_of(row, defaults, today=today))
        for order_id, account_id, row in await session.execute(query)
    ]
    limited = [(order_id, account_id, limits) for order_id, account_id, limits in found if limits.is_any_set]
    return Limited(frozenset(order_id for order_id, _, _ in limited), {account_id: limits for _, account_id, limits in limited})


_IDS = [bindparam("account_ids", type_=ARRAY(String))]
# In the order of their keys; a collision of hashes makes two accounts take turns, which is harmless.
_LOCK = text(
    """
    SELECT pg_advisory_xact_lock(:space, keys.key)
    FROM (SELECT DISTINCT hashtext(account_id) AS key FROM unnest(:account_ids) AS a(account_id) ORDER BY 1) AS keys
    """
).bindparams(*_IDS)


async def lock_accounts(session: AsyncSession, account_ids: Sequence[str]) -> None:
    """Nobody else claims entries of these accounts until this transaction ends."""
    await session.execute(_LOCK, {"space": _ACCOUNT_LOCK, "account_ids": sorted(account_ids)})


# What is held counts at cost, what was sent and may still fill at its limit. An ended run holds nothing that is ours to bound.
_USAGE = text(
    """
    WITH wanted AS (SELECT unnest(:account_ids) AS account_id)
    SELECT w.account_id,
        COALESCE((SELECT sum(r.buy_value * (r.bought - r.sold - r.taken_elsewhere) / r.bought) FROM runs r
                  WHERE r.account_id = w.account_id AND r.state <> 'ended' AND r.bought > 0), 0)
        + COALESCE((SELECT sum((o.quantity - o.filled_quantity) * o.price) FROM orders o
                    WHERE o.account_id = w.account_id AND o.leg = 'entry' AND o.state IN ('sending', 'unknown', 'open')), 0)
          AS open_value,
        COALESCE((SELECT sum(o.quantity * o.reference_price) FROM orders o
                  WHERE o.account_id = w.account_id AND o.leg = 'entry' AND o.state = 'armed'), 0) AS reserved_value,
        (SELECT count(*) FROM orders o WHERE o.account_id = w.account_id AND o.leg = 'entry' AND o.trading_day = :day
                  AND o.state NOT IN ('armed', 'superseded')) AS orders_today,
        (SELECT count(*) FROM orders o WHERE o.account_id = w.account_id AND o.leg = 'entry' AND o.trading_day = :day
                  AND o.state = 'armed') AS reserved_orders,
        COALESCE((SELECT -sum(r.realised_pnl) FROM runs r WHERE r.account_id = w.account_id AND r.trading_day = :day), 0)
          AS realised_loss
    FROM wanted w
    """
).bindparams(*_IDS)


async def load_usage(
    session: AsyncSession, account_ids: Sequence[str], *, day: date, with_reservations: bool
) -> Mapping[str, Usage]:
    """What those accounts have used on that day. Reservations are entries that are armed and have not left yet."""
    rows = await session.execute(_USAGE, {"account_ids": list(account_ids), "day": day})
    return {
        row.account_id: Usage(
            open_value=row.open_value + (row.reserved_value if with_reservations else 0),
            orders_today=row.orders_today + (row.reserved_orders if with_reservations else 0),
            realised_loss=row.realised_loss,
        )
        for row in rows
    }


async def admit_entries(
    session: AsyncSession, due: Sequence[DueEntry], *, prices: Mapping[str, Decimal], limits: Mapping[str, Limits]
) -> tuple[list[str], dict[str, Refusal]]:
    """Ids of the entries that may leave together, and why the others may not. `prices`: the limit price by order id.

    The caller holds the lock of every account in `limits`, and the rows of `due`.
    """
    admitted: list[str] = []
    refused: dict[str, Refusal] = {}
    for day in sorted({entry.trading_day for entry in due}):
        of_day = [entry for entry in due if entry.trading_day == day]
        usage = await load_usage(session, sorted({entry.account_id for entry in of_day}), day=day, with_reservations=False)
        for account_id, used in usage.items():
            wanted = [
                Candidate(entry.order_id, prices[entry.order_id] * entry.quantity)
                for entry in of_day
                if entry.account_id == account_id
            ]
            admission = admit(limits[account_id], used, wanted)
            admitted += sorted(admission.admitted)
            refused |= admission.refused
    return admitted, refused
