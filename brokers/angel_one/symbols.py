"""SmartAPI's names for instruments and ours. An order needs symbol and token, the feed the exchange's number and the token.

A share of the ordinary series is `SBIN-EQ` there and `SBIN` at the exchange and here; every other series keeps its suffix on both
sides. Indices are in mixed case there.
"""

from dataclasses import dataclass

from brokers.angel_one.words import EXCHANGE_TYPES
from trading.instruments import InstrumentId
from trading.ports.broker import UnreadableAnswer

ORDINARY = "-EQ"
_SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class AngelInstrument:
    """One line of the broker's list, as far as its other calls ask for it."""

    exchange: str
    token: str
    symbol: str

    @property
    def exchange_type(self) -> int:
        return EXCHANGE_TYPES[self.exchange]

    @property
    def key(self) -> str:
        """All of it in one text: tokens alone repeat from exchange to exchange."""
        return _SEPARATOR.join((self.exchange, self.token, self.symbol))

    @classmethod
    def parse(cls, key: str) -> "AngelInstrument":
        exchange, _, rest = key.partition(_SEPARATOR)
        token, _, symbol = rest.partition(_SEPARATOR)
        if not (exchange and token and symbol):
            raise ValueError(f"not an instrument key of this broker: {key!r}")
        return cls(exchange, token, symbol)


def instrument_of(exchange: str, symbol: str) -> InstrumentId:
    """What we call a thing that can be ordered. Raises UnreadableAnswer for names that name nothing."""
    plain = symbol.removesuffix(ORDINARY) if exchange == "NSE" else symbol
    if not exchange or not plain:
        raise UnreadableAnswer(f"no instrument is called {exchange}:{symbol}")
    return InstrumentId(exchange, plain)


def index_of(exchange: str, symbol: str) -> InstrumentId:
    """What we call an index: `Nifty 50` is `NIFTY 50`."""
    return InstrumentId(exchange, symbol.upper())
