"""SmartAPI's words, translated once. A word nobody knows raises UnreadableAnswer: a guess here would be a guess about money."""

from collections.abc import Mapping

from trading.instruments import Product
from trading.orders import BrokerOrderStatus, Side
from trading.ports.broker import UnreadableAnswer

_PENDING, _OPEN, _CANCELLED = BrokerOrderStatus.PENDING, BrokerOrderStatus.OPEN, BrokerOrderStatus.CANCELLED

# Lower case, as SmartAPI writes them.
STATUSES: dict[str, BrokerOrderStatus] = {
    "put order req received": _PENDING,
    "validation pending": _PENDING,
    "open pending": _PENDING,
    "after market order req received": _PENDING,
    "modify after market order req received": _PENDING,
    "trigger pending": _OPEN,
    "open": _OPEN,
    "modify validation pending": _OPEN,
    "modify pending": _OPEN,
    "modified": _OPEN,
    "not modified": _OPEN,
    "cancel pending": _OPEN,
    "not cancelled": _OPEN,
    "complete": BrokerOrderStatus.COMPLETE,
    "cancelled": _CANCELLED,
    "cancelled after market order": _CANCELLED,
    "rejected": BrokerOrderStatus.REJECTED,
}

# A stop order with one of these waits for its trigger no more.
NOT_WAITING = frozenset({"open", "complete", "cancelled", "cancelled after market order", "rejected"})

# None: known to the broker, never traded by us.
PRODUCTS: dict[str, Product | None] = {
    "INTRADAY": Product.MIS,
    "DELIVERY": Product.CNC,
    "CARRYFORWARD": Product.NRML,
    "MARGIN": None,
    "BO": None,
    "CO": None,
}
PRODUCT_WORDS: Mapping[Product, str] = {product: word for word, product in PRODUCTS.items() if product is not None}

SIDES: dict[str, Side] = {"BUY": Side.BUY, "SELL": Side.SELL}

# The feed's numbers for the exchanges' segments.
EXCHANGE_TYPES: Mapping[str, int] = {"NSE": 1, "NFO": 2, "BSE": 3, "BFO": 4, "MCX": 5, "NCDEX": 7, "CDS": 13}


def plain(word: str) -> str:
    return word.strip().lower()


def status(word: str) -> BrokerOrderStatus:
    found = STATUSES.get(plain(word))
    if found is None:
        raise UnreadableAnswer(f"unknown order status {word!r}")
    return found


def product(word: str) -> Product | None:
    if word.upper() not in PRODUCTS:
        raise UnreadableAnswer(f"unknown product type {word!r}")
    return PRODUCTS[word.upper()]


def side(word: str) -> Side:
    if word.upper() not in SIDES:
        raise UnreadableAnswer(f"unknown transaction type {word!r}")
    return SIDES[word.upper()]
