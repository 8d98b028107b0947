"""What a desk must know of its own rows before it reads its broker's book: orders under way, shares held, ids the broker gave."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import ARRAY, DateTime, Text, bindparam, select, text

from execution.read_together import ReadTogether
from storage.database import Database
from storage.models import Order
from storage.single import SingleStatement
from trading.instruments import InstrumentId, Product
from trading.ledger import LedgerKey
from trading.ports.clock import Clock


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


# Most looks find no order under way: whose rows are worth reading is asked first, in columns.
_UNDER_WAY = """
    account_id = ANY(CAST(:account_ids AS text[]))
    AND (state IN ('sending', 'unknown', 'open') OR (watched_until > :now AND state IN ('absent', 'rejected')))
"""
_BUSY = SingleStatement(text(f"SELECT DISTINCT account_id FROM orders WHERE {_UNDER_WAY}"))  # noqa: S608 (constants only)
_ORDERS = select(Order).where(text(_UNDER_WAY)).order_by(Order.id)
_HELD = SingleStatement(
    text(
        """
        SELECT DISTINCT account_id, exchange, symbol, product FROM runs
        WHERE account_id = ANY(CAST(:account_ids AS text[])) AND state <> 'ended' AND bought > sold + taken_elsewhere
        """
    )
)
_KNOWN = SingleStatement(
    text(
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
)


class OrdersUnderWay(ReadTogether[str, UnderWay]):
    """By account id."""

    def __init__(self, database: Database, clock: Clock) -> None:
        async def read_all(account_ids: Sequence[str]) -> Mapping[str, UnderWay]:
            return await read_under_way(database, account_ids, now=clock.now())

        super().__init__(read_all)


class KnownOrders(ReadTogether[Known, frozenset[str]]):
    """The broker's ids of those orders."""

    def __init__(self, database: Database) -> None:
        super().__init__(partial(read_known, database))


async def read_under_way(database: Database, account_ids: Sequence[str], *, now: datetime) -> dict[str, UnderWay]:
    """Of each of those accounts."""
    orders: defaultdict[str, list[Order]] = defaultdict(list)
    if busy := [row["account_id"] for row in await database.fetch(_BUSY, {"account_ids": list(account_ids), "now": now})]:
        async with database.transaction() as session:
            for order in await session.scalars(_ORDERS, {"account_ids": busy, "now": now}):
                orders[order.account_id].append(order)
    held: defaultdict[str, set[LedgerKey]] = defaultdict(set)
    for row in await database.fetch(_HELD, {"account_ids": list(account_ids)}):
        held[row["account_id"]].add(LedgerKey(InstrumentId(row["exchange"], row["symbol"]), Product(row["product"])))
    return {account_id: UnderWay(orders[account_id], frozenset(held[account_id])) for account_id in account_ids}


async def read_known(database: Database, asked: Sequence[Known]) -> dict[Known, frozenset[str]]:
    """The answer to each of the questions."""
    values = {
        "account_ids": [one.account_id for one in asked],
        "since": [one.since for one in asked],
        "until": [one.until for one in asked],
    }
    found: list[set[str]] = [set() for _ in asked]
    for row in await database.fetch(_KNOWN, values):
        found[row["number"] - 1].add(row["broker_order_id"])
    return {one: frozenset(ids) for one, ids in zip(asked, found, strict=True)}
