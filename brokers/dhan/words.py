"""Dhan's words, translated once. A word nobody knows raises UnreadableAnswer: a guess here would be a guess about money."""

from trading.instruments import Product, Segment
from trading.orders import BrokerOrderStatus, Side
from trading.ports.broker import UnreadableAnswer

_OPEN, _CANCELLED, _COMPLETE = BrokerOrderStatus.OPEN, BrokerOrderStatus.CANCELLED, BrokerOrderStatus.COMPLETE

STATUSES: dict[str, BrokerOrderStatus] = {
    # Not at the exchange yet.
    "TRANSIT": BrokerOrderStatus.PENDING,
    # At the exchange; a waiting stop has no word of its own.
    "PENDING": _OPEN,
    "PART_TRADED": _OPEN,
    "MODIFIED": _OPEN,
    # Legs of super orders, and forever orders.
    "TRIGGERED": _OPEN,
    "CONFIRM": _OPEN,
    "INACTIVE": BrokerOrderStatus.PENDING,
    "CLOSED": _COMPLETE,
    "TRADED": _COMPLETE,
    "CANCELLED": _CANCELLED,
    # The day ended with something left.
    "EXPIRED": _CANCELLED,
    "REJECTED": BrokerOrderStatus.REJECTED,
}

# Words of REST and letters of the order updates. None: known to the broker, never traded by us.
PRODUCTS: dict[str, Product | None] = {
    "INTRADAY": Product.MIS,
    "INTRA": Product.MIS,
    "I": Product.MIS,
    "CNC": Product.CNC,
    "C": Product.CNC,
    "MARGIN": Product.NRML,
    "M": Product.NRML,
    "MTF": None,
    "F": None,
    "CO": None,
    "V": None,
    "BO": None,
    "B": None,
}
_PRODUCT_WORDS = {Product.MIS: "INTRADAY", Product.CNC: "CNC", Product.NRML: "MARGIN"}

# Orders that wait for a trigger, in the book and in order updates.
STOP_TYPES = frozenset({"STOP_LOSS", "STOP_LOSS_MARKET", "SL", "SLM"})

SIDES: dict[str, Side] = {"BUY": Side.BUY, "B": Side.BUY, "SELL": Side.SELL, "S": Side.SELL}

# Our exchange by the broker's segment. Indices belong to the exchange that computes them: the instrument list says which.
EXCHANGES: dict[str, str] = {
    "NSE_EQ": "NSE",
    "BSE_EQ": "BSE",
    "NSE_FNO": "NFO",
    "BSE_FNO": "BFO",
    "NSE_CURRENCY": "CDS",
    "BSE_CURRENCY": "BCD",
    "MCX_COMM": "MCX",
    "NSE_COMM": "NCO",
    "IDX_I": "NSE",
}
KINDS: dict[str, Segment] = {
    "NSE_EQ": Segment.CASH,
    "BSE_EQ": Segment.CASH,
    "NSE_FNO": Segment.DERIVATIVES,
    "BSE_FNO": Segment.DERIVATIVES,
    "NSE_CURRENCY": Segment.CURRENCY,
    "BSE_CURRENCY": Segment.CURRENCY,
    "MCX_COMM": Segment.COMMODITY,
    "NSE_COMM": Segment.COMMODITY,
    "IDX_I": Segment.INDEX,
}
# Segment byte of the market feed.
FEED_SEGMENTS: dict[int, str] = {
    0: "IDX_I",
    1: "NSE_EQ",
    2: "NSE_FNO",
    3: "NSE_CURRENCY",
    4: "BSE_EQ",
    5: "MCX_COMM",
    7: "BSE_CURRENCY",
    8: "BSE_FNO",
}
# The instrument list and the order updates write exchange and segment apart. NSE's commodities have no number in the feed that
# is known, so they are not listed.
_SPLIT_SEGMENTS: dict[tuple[str, str], str] = {
    ("NSE", "E"): "NSE_EQ",
    ("BSE", "E"): "BSE_EQ",
    ("NSE", "D"): "NSE_FNO",
    ("BSE", "D"): "BSE_FNO",
    ("NSE", "C"): "NSE_CURRENCY",
    ("BSE", "C"): "BSE_CURRENCY",
    ("MCX", "M"): "MCX_COMM",
    ("NSE", "I"): "IDX_I",
    ("BSE", "I"): "IDX_I",
}


def status(word: str) -> BrokerOrderStatus:
    """`TRADED` of the book, `Traded` and `Part Traded` of the order updates."""
    known = STATUSES.get(word.strip().upper().replace(" ", "_"))
    if known is None:
        raise UnreadableAnswer(f"unknown order status {word!r}")
    return known


def product(word: str) -> Product | None:
    if word.upper() not in PRODUCTS:
        raise UnreadableAnswer(f"unknown product {word!r}")
    return PRODUCTS[word.upper()]


def product_word(product: Product) -> str:
    return _PRODUCT_WORDS[product]


def side(word: str) -> Side:
    known = SIDES.get(word.upper())
    if known is None:
        raise UnreadableAnswer(f"unknown transaction type {word!r}")
    return known


def split_segment(exchange: str, letter: str) -> str | None:
    """`NSE` and `E` are `NSE_EQ`; None for a pair nobody knows."""
    return _SPLIT_SEGMENTS.get((exchange.upper(), letter.upper()))


def token(segment: str, security_id: str) -> str:
    """Our key for an instrument at Dhan: its ids are counted per segment."""
    return f"{segment}:{security_id}"


def split_token(token: str) -> tuple[str, str]:
    """Segment and security id of a key."""
    segment, _, security_id = token.partition(":")
    return segment, security_id
