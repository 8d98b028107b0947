"""What a desk must know of its own rows before it reads its broker's book: orders under way, shares held, ids the broker gave."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ARRAY, DateTime, Text, any_, bindparam, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from execution.read_together import ReadTogether
from storage.database import Database
from storage.models import Order, Run
from trading.instruments import InstrumentId, Product
from trading.ledger import LedgerKey
from trading.orders import OrderState
from trading.ports.clock import Clock
from trading.runs import RunState


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Of one account. `orders`: alive, in doubt, or dead and still looked for. `held`: where open runs have shares."""

    orders: Sequence[Order]
    held: frozenset[LedgerKey]


@dataclass(frozen=True, slots=True)
class Known:
    """Asks which of an account's orders a broker has acknowledged `since` and before `until`."""

    account_id: str
    since: datetime
    until: datetime


# Built once: every look of every desk asks them.
_ACCOUNTS = any_(bindparam("account_ids", type_=ARRAY(Text)))
_UNDER_WAY = (
    select(Order)
    .where(
        Order.account_id == _ACCOUNTS,
        or_(
            Order.state.in_([OrderState.SENDING, OrderState.UNKNOWN, OrderState.OPEN]),
            (Order.watched_until > bindparam("now")) & Order.state.in_([OrderState.ABSENT, OrderState.REJECTED]),
        ),
    )
    .order_by(Order.id)
)
_HELD = (
    select(Run.account_id, Run.exchange, Run.symbol, Run.product)
    .where(Run.account_id == _ACCOUNTS, Run.state != RunState.ENDED, Run.bought > Run.sold + Run.taken_elsewhere)
    .distinct()
)
_KNOWN = text(
    """
    SELECT asked.number, o.broker_order_id
    FROM unnest(:account_ids, :since, :until) WITH ORDINALITY AS asked (account_id, since, until, number)
    JOIN orders o ON o.account_id = asked.account_id AND o.broker_order_id IS NOT NULL
        AND o.acknowledged_at > asked.since AND o.acknowledged_at < asked.until
    """
).bindparams(
    bindparam("account_ids", type_=ARRAY(Text)),
    bindparam("since", type_=ARRAY(DateTime(timezone=True))),
    bindparam("until", type_=ARRAY(DateTime(timezone=True))),
)


class OrdersUnderWay(ReadTogether[str, UnderWay]):
    """By account id."""

    def __init__(self, database: Database, clock: Clock) -> None:
        async def read_all(session: AsyncSession, account_ids: Sequence[str]) -> Mapping[str, UnderWay]:
            return await read_under_way(session, account_ids, now=clock.now())

        super().__init__(database, read_all)


class KnownOrders(ReadTogether[Known, frozenset[str]]):
    """The broker's ids of those orders."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, read_known)


async def read_under_way(session: AsyncSession, account_ids: Sequence[str], *, now: datetime) -> dict[str, UnderWay]:
    """Of each of those accounts."""
    orders: defaultdict[str, list[Order]] = defaultdict(list)
    for order in await session.scalars(_UNDER_WAY, {"account_ids": list(account_ids), "now": now}):
        orders[order.account_id].append(order)
    held: defaultdict[str, set[LedgerKey]] = defaultdict(set)
    for account_id, exchange, symbol, product in await session.execute(_HELD, {"account_ids": list(account_ids)}):
        held[account_id].add(LedgerKey(InstrumentId(exchange, symbol), Product(product)))
    return {account_id: UnderWay(orders[account_id], frozenset(held[account_id])) for account_id in account_ids}


async def read_known(session: AsyncSession, asked: Sequence[Known]) -> dict[Known, frozenset[str]]:
    """The answer to each of the questions."""
    values = {
        "account_ids": [one.account_id for one in asked],
        "since": [one.since for one in asked],
        "until": [one.until for one in asked],
    }
    found: list[set[str]] = [set() for _ in asked]
    for number, broker_order_id in await session.execute(_KNOWN, values):
        found[number - 1].add(broker_order_id)
    return {one: frozenset(ids) for one, ids in zip(asked, found, strict=True)}
