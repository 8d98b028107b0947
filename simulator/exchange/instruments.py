"""What can be traded, and the rules of each instrument."""

from dataclasses import dataclass
from enum import StrEnum

from simulator.money import PRICE_SCALE


class Kind(StrEnum):
    """What an instrument is."""

    EQUITY = "EQ"
    FUTURE = "FUT"
    CALL = "CE"
    PUT = "PE"
    INDEX = "INDEX"

    @property
    def is_option(self) -> bool:
        """Options are paid for with a premium."""
        return self in (Kind.CALL, Kind.PUT)


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable contract (or an index, which only has a price). Tick, strike in price units."""

    exchange: str
    symbol: str
    name: str
    exchange_token: int
    kind: Kind
    tick_size: int
    lot_size: int
    freeze_quantity: int
    expiry: str = ""
    strike: int = 0

    @property
    def key(self) -> str:
        """`EXCHANGE:SYMBOL`, unique."""
        return f"{self.exchange}:{self.symbol}"


_TICK_BANDS = (
    (250 * PRICE_SCALE, PRICE_SCALE // 100),
    (1_000 * PRICE_SCALE, PRICE_SCALE // 20),
    (5_000 * PRICE_SCALE, PRICE_SCALE // 10),
    (10_000 * PRICE_SCALE, PRICE_SCALE // 2),
    (20_000 * PRICE_SCALE, PRICE_SCALE),
)
"""NSE cash market tick sizes by price since April 2025: (below this price, tick)."""


def tick_for_price(price: int) -> int:
    """The cash market tick for an instrument trading around this price."""
    for below, tick in _TICK_BANDS:
        if price < below:
            return tick
    return 5 * PRICE_SCALE


def split_key(symbol: str) -> str:
    """Complete a bare symbol to a key: `TCS` is `NSE:TCS`, keys pass unchanged."""
    return symbol if ":" in symbol else f"NSE:{symbol}"
