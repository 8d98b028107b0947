"""Fyers' numbers and words, translated once. An unknown one raises UnreadableAnswer: a guess here would be about money."""

from brokers.fyers.numbers import whole
from trading.instruments import Product
from trading.orders import BrokerOrderStatus, Side
from trading.ports.broker import UnreadableAnswer

CANCELLED, TRADED, TRANSIT, REJECTED, PENDING, EXPIRED = 1, 2, 4, 5, 6, 7

# 3 is not in use. A stop that waits for its trigger is pending too: it has no number of its own.
STATUSES: dict[int, BrokerOrderStatus] = {
    CANCELLED: BrokerOrderStatus.CANCELLED,
    TRADED: BrokerOrderStatus.COMPLETE,
    TRANSIT: BrokerOrderStatus.PENDING,
    REJECTED: BrokerOrderStatus.REJECTED,
    PENDING: BrokerOrderStatus.OPEN,
    EXPIRED: BrokerOrderStatus.CANCELLED,
}

# None: known to the broker, never traded by us.
PRODUCTS: dict[str, Product | None] = {
    "INTRADAY": Product.MIS,
    "CNC": Product.CNC,
    "MARGIN": Product.NRML,
    "MTF": None,
    "CO": None,
    "BO": None,
}
PRODUCT_WORDS: dict[Product, str] = {product: word for word, product in PRODUCTS.items() if product is not None}

SIDES: dict[int, Side] = {1: Side.BUY, -1: Side.SELL}
SIDE_NUMBERS: dict[Side, int] = {side: number for number, side in SIDES.items()}

LIMIT, STOP_LIMIT = 1, 4
# Orders that wait for a trigger: stop-market and stop-limit.
STOPS = (3, 4)


def status(value: object) -> BrokerOrderStatus:
    number = whole(value, "status")
    if number not in STATUSES:
        raise UnreadableAnswer(f"unknown order status {number}")
    return STATUSES[number]


def product(word: str) -> Product | None:
    if word not in PRODUCTS:
        raise UnreadableAnswer(f"unknown product {word!r}")
    return PRODUCTS[word]


def side(value: object) -> Side:
    number = whole(value, "side")
    if number not in SIDES:
        raise UnreadableAnswer(f"unknown side {number}")
    return SIDES[number]
