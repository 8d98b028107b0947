"""Instrument tokens: exchange token times 256 plus the segment (Kite Connect v3, "WebSocket streaming")."""

from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import Instrument, Kind
from simulator.exchange.market import Market
from simulator.money import PRICE_SCALE

_SEGMENTS = {"NSE": 1, "NFO": 2, "CDS": 3, "BSE": 4, "BFO": 5, "BCD": 6, "MCX": 7}
INDEX_SEGMENT = 9
_MOST_DIGITS = 18
_DIVISORS = {3: 10_000_000, 6: 10_000}


def segment(instrument: Instrument) -> int:
    """The segment number in the low byte of the token."""
    return INDEX_SEGMENT if instrument.kind is Kind.INDEX else _SEGMENTS[instrument.exchange]


def instrument_token(instrument: Instrument) -> int:
    """The token of an instrument."""
    return instrument.exchange_token * 256 + segment(instrument)


def wire_price(price: int, divisor: int) -> int:
    """Price units as the integer on the wire, which the client divides by the segment's divisor."""
    return price * divisor // PRICE_SCALE


def divisor(token: int) -> int:
    """What the client divides wire prices by: 100, currencies 10,000,000 (NSE) or 10,000 (BSE)."""
    return _DIVISORS.get(token & 0xFF, 100)


def parse_token(text: str) -> int | None:
    """A token or other number in an address, None if it is not one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


class TokenMap:
    """Finds markets by token; learns instruments that were added since."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._by_token: dict[int, Market] = {}
        self._tokens: dict[str, int] = {}
        self._known = 0

    def _learn(self) -> None:
        if self._known != len(self._exchange.markets):
            self._by_token = {instrument_token(market.instrument): market for market in self._exchange.markets.values()}
            self._tokens = {market.instrument.key: token for token, market in self._by_token.items()}
            self._known = len(self._exchange.markets)

    def market(self, token: int) -> Market | None:
        """The market of a token, None if there is none."""
        self._learn()
        return self._by_token.get(token)

    def token(self, key: str) -> int:
        """The token of an instrument key. Raises KeyError."""
        self._learn()
        return self._tokens[key]
