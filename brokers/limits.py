"""How much a broker takes, as data: each figure with its source and the day it was checked."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` requests in any window of `seconds`."""

    count: int
    seconds: int


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """`documented_*` is what the broker says, the rest is what we use: lower, since other apps share the account."""

    order_writes: tuple[Rate, ...]
    documented_order_writes: tuple[Rate, ...]
    reads: tuple[Rate, ...]
    quotes: tuple[Rate, ...]
    quote_keys: int
    full_quote_keys: int
    modifications_per_order: int
    documented_modifications_per_order: int
    instruments_per_feed: int
    feeds_per_key: int
    settle_seconds: float
    source: str
    checked_on: date
    # Whether its adapter knows stop-limit orders, so that a backup stop may rest there.
    resting_stops: bool = False
    # Whether `find_by_tag` asks a search of the broker's own, which may know an order before the book shows it.
    searches_tags: bool = False
