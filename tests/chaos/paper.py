"""Paper accounts trade inside the platform: the witness of their orders is their own book, told as the exchange tells its log."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg

from tests.chaos.entries import SECOND_NS, Entry

_OPEN = "open"
# What happened in the same instant happened in this order.
_RANKS = {"place": 0, "fill": 1, "terminal": 2}
_ORDERS = """
    SELECT account_id, id AS order_id, tag, exchange, symbol, side, filled_quantity, state, created_at, changed_at
    FROM paper_orders
"""
_TRADES = "SELECT account_id, order_id, exchange, symbol, side, quantity, price, filled_at FROM paper_trades"
_ACCOUNTS = "SELECT account_id, starting_cash, cash FROM paper_accounts"
_HOLDINGS = "SELECT account_id, exchange, symbol, sum(quantity) AS quantity FROM paper_holdings GROUP BY 1, 2, 3"


@dataclass(frozen=True, slots=True)
class PaperOrderFacts:
    """One order of a book. `placed_at`, `changed_at`: seconds since the epoch."""

    account: str
    order_id: str
    tag: str | None
    instrument: str
    side: str
    filled_quantity: int
    state: str
    placed_at: float
    changed_at: float


@dataclass(frozen=True, slots=True)
class PaperTradeFacts:
    """One execution; `price` in rupees, `filled_at` seconds since the epoch."""

    account: str
    order_id: str
    instrument: str
    side: str
    quantity: int
    price: Decimal
    filled_at: float

    @property
    def bought(self) -> int:
        """Below zero: sold."""
        return self.quantity if self.side == "BUY" else -self.quantity


@dataclass(frozen=True, slots=True)
class PaperAccountFacts:
    """What an account says it has; cash in rupees."""

    account: str
    starting_cash: Decimal
    cash: Decimal
    held: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class PaperBooks:
    """All paper accounts."""

    accounts: tuple[PaperAccountFacts, ...] = ()
    orders: tuple[PaperOrderFacts, ...] = ()
    trades: tuple[PaperTradeFacts, ...] = ()

    def log(self) -> tuple[Entry, ...]:
        """Orders, fills and ends, oldest first, in the shape of the exchange's log; sequences are of these entries only."""
        found = sorted(self._entries(), key=lambda entry: (entry["arrived_ns"], _RANKS[entry["action"]]))
        return tuple({**entry, "sequence": number} for number, entry in enumerate(found, 1))

    def _entries(self) -> Iterator[dict[str, Any]]:
        tags = {order.order_id: order.tag for order in self.orders}
        for order in self.orders:
            whose = {"account": order.account, "order_id": order.order_id, "tag": order.tag}
            sent = {"transaction_type": order.side, "tradingsymbol": order.instrument.partition(":")[2]}
            # Only the platform places orders in such a book, and its owner with a reset, which carries no tag.
            placed = {"side": order.side, "outcome": "accepted", "parameters": sent, "via_api": order.tag is not None}
            yield {"action": "place", **whose, **placed, "arrived_ns": _nanoseconds(order.placed_at)}
            if order.state != _OPEN:
                yield {"action": "terminal", **whose, "arrived_ns": _nanoseconds(order.changed_at)}
        for trade in self.trades:
            at = _nanoseconds(trade.filled_at)
            whose = {"account": trade.account, "order_id": trade.order_id, "tag": tags[trade.order_id]}
            what = {"instrument": trade.instrument, "side": trade.side, "quantity": trade.quantity}
            yield {"action": "fill", **whose, **what, "at_ns": at, "arrived_ns": at}

    def errors(self) -> Iterator[tuple[str, str]]:
        """By account, everything in which a book contradicts itself: orders and trades, cash and shares."""
        for order in self.orders:
            traded = sum(trade.quantity for trade in self.trades if trade.order_id == order.order_id)
            if traded != order.filled_quantity:
                yield order.account, f"order {order.tag} says {order.filled_quantity} filled, its trades say {traded}"
        for account in self.accounts:
            trades = [trade for trade in self.trades if trade.account == account.account]
            cash = account.starting_cash - sum((trade.bought * trade.price for trade in trades), Decimal(0))
            if cash != account.cash:
                yield account.account, f"cash is {account.cash}, by its trades {cash}"
            held, traded_shares = _shares(account.held), _shares((trade.instrument, trade.bought) for trade in trades)
            if held != traded_shares:
                yield account.account, f"held are {held}, by the trades {traded_shares}"
            owed = [instrument for instrument, quantity in held.items() if quantity < 0]
            if owed:
                yield account.account, f"shares are owed: {', '.join(owed)}"


def _shares(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """By instrument, those of which there are none left out."""
    found: dict[str, int] = {}
    for instrument, quantity in pairs:
        found[instrument] = found.get(instrument, 0) + quantity
    return {instrument: quantity for instrument, quantity in sorted(found.items()) if quantity}


def _nanoseconds(seconds: float) -> int:
    return int(seconds * SECOND_NS)


async def read_books(connection: "asyncpg.Connection[asyncpg.Record]", names: Mapping[str, str]) -> PaperBooks:
    """Everything that is in the books. `names`: how each of our accounts is called in the evidence."""
    accounts, orders, trades, holdings = [await connection.fetch(query) for query in (_ACCOUNTS, _ORDERS, _TRADES, _HOLDINGS)]
    held: dict[str, list[tuple[str, int]]] = {}
    for row in holdings:
        held.setdefault(row["account_id"], []).append((_instrument(row), int(row["quantity"])))
    return PaperBooks(
        accounts=tuple(
            PaperAccountFacts(names[row["account_id"]], row["starting_cash"], row["cash"], tuple(held.get(row["account_id"], ())))
            for row in accounts
        ),
        orders=tuple(
            PaperOrderFacts(
                account=names[row["account_id"]],
                order_id=row["order_id"],
                tag=row["tag"],
                instrument=_instrument(row),
                side=row["side"],
                filled_quantity=row["filled_quantity"],
                state=row["state"],
                placed_at=_seconds(row["created_at"]),
                changed_at=_seconds(row["changed_at"]),
            )
            for row in orders
        ),
        trades=tuple(
            PaperTradeFacts(
                account=names[row["account_id"]],
                order_id=row["order_id"],
                instrument=_instrument(row),
                side=row["side"],
                quantity=row["quantity"],
                price=row["price"],
                filled_at=_seconds(row["filled_at"]),
            )
            for row in trades
        ),
    )


def _instrument(row: asyncpg.Record) -> str:
    return f"{row['exchange']}:{row['symbol']}"


def _seconds(instant: datetime) -> float:
    return instant.timestamp()
