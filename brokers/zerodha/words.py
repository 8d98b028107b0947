"""Kite's words, translated once. A word nobody knows raises UnreadableAnswer: a guess here would be a guess about money."""

from trading.instruments import Product
from trading.orders import BrokerOrderStatus, Side
from trading.ports.broker import UnreadableAnswer

_PENDING, _OPEN = BrokerOrderStatus.PENDING, BrokerOrderStatus.OPEN

STATUSES: dict[str, BrokerOrderStatus] = {
    "PUT ORDER REQ RECEIVED": _PENDING,
    "VALIDATION PENDING": _PENDING,
    "OPEN PENDING": _PENDING,
    "AMO REQ RECEIVED": _PENDING,
    "TRIGGER PENDING": _OPEN,
    "OPEN": _OPEN,
    "MODIFY VALIDATION PENDING": _OPEN,
    "MODIFY PENDING": _OPEN,
    "MODIFIED": _OPEN,
    "NOT MODIFIED": _OPEN,
    "CANCEL PENDING": _OPEN,
    "NOT CANCELLED": _OPEN,
    # Only in postbacks and order updates: something changed, the quantities say what.
    "UPDATE": _OPEN,
    "COMPLETE": BrokerOrderStatus.COMPLETE,
    "CANCELLED": BrokerOrderStatus.CANCELLED,
    "CANCELLED AMO": BrokerOrderStatus.CANCELLED,
    "REJECTED": BrokerOrderStatus.REJECTED,
}

# A stop order with one of these waits for its trigger no more.
NOT_WAITING = frozenset({"OPEN", "COMPLETE", "CANCELLED", "CANCELLED AMO", "REJECTED"})

# None: known to the broker, never traded by us.
PRODUCTS: dict[str, Product | None] = {
    "MIS": Product.MIS,
    "CNC": Product.CNC,
    "NRML": Product.NRML,
    "MTF": None,
    "CO": None,
    "BO": None,
}

SIDES: dict[str, Side] = {"BUY": Side.BUY, "SELL": Side.SELL}


def status(word: str) -> BrokerOrderStatus:
    if word not in STATUSES:
        raise UnreadableAnswer(f"unknown order status {word!r}")
    return STATUSES[word]


def product(word: str) -> Product | None:
    if word not in PRODUCTS:
        raise UnreadableAnswer(f"unknown product {word!r}")
    return PRODUCTS[word]


def side(word: str) -> Side:
    if word not in SIDES:
        raise UnreadableAnswer(f"unknown transaction type {word!r}")
    return SIDES[word]
