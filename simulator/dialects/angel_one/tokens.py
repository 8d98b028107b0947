"""This broker's names for instruments: symbol, token, and the feed's number of the exchange."""

from datetime import date

from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import Instrument, Kind
from simulator.exchange.market import Market
from simulator.money import PRICE_SCALE

EXCHANGE_TYPES = {"NSE": 1, "NFO": 2, "BSE": 3, "BFO": 4, "MCX": 5, "NCDEX": 7, "CDS": 13}
CURRENCY = EXCHANGE_TYPES["CDS"]
_INDEX_TOKENS = {"NIFTY 50": "99926000", "NIFTY BANK": "99926009"}


def symbol(instrument: Instrument) -> str:
    """`SBIN-EQ`, `Nifty 50`, `NIFTY30JUN26FUT`, `NIFTY30JUN2624500CE`; at BSE shares have no suffix."""
    match instrument.kind:
        case Kind.INDEX:
            return instrument.symbol.title()
        case Kind.EQUITY:
            return f"{instrument.symbol}-EQ" if instrument.exchange == "NSE" else instrument.symbol
        case Kind.FUTURE:
            return f"{instrument.name}{expiry(instrument, '%d%b%y')}FUT"
        case _:
            return f"{instrument.name}{expiry(instrument, '%d%b%y')}{instrument.strike // PRICE_SCALE}{instrument.kind}"


def expiry(instrument: Instrument, form: str) -> str:
    """In that form, upper case; empty for what does not expire."""
    return date.fromisoformat(instrument.expiry).strftime(form).upper() if instrument.expiry else ""


def token(instrument: Instrument) -> str:
    """Unique within its exchange."""
    return _INDEX_TOKENS.get(instrument.symbol, str(instrument.exchange_token))


def wire_price(price: int, exchange_type: int) -> int:
    """Price units as whole paise; in currencies ten-millionths of a rupee."""
    return price * (10_000_000 if exchange_type == CURRENCY else 100) // PRICE_SCALE


class TokenMap:
    """Finds markets by exchange and token; learns instruments that were added since."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._by_token: dict[tuple[str, str], Market] = {}
        self._keys: dict[str, tuple[int, str]] = {}

    def _learn(self) -> None:
        if len(self._by_token) != len(self._exchange.markets):
            for market in self._exchange.markets.values():
                found = market.instrument
                self._by_token[found.exchange, token(found)] = market
                self._keys[found.key] = (EXCHANGE_TYPES[found.exchange], token(found))

    def market(self, exchange: str, of_token: str) -> Market | None:
        """None if there is none."""
        self._learn()
        return self._by_token.get((exchange, of_token))

    def market_on_feed(self, exchange_type: int, of_token: str) -> Market | None:
        """As `market`, by the feed's number of the exchange."""
        exchange = next((name for name, number in EXCHANGE_TYPES.items() if number == exchange_type), "")
        return self.market(exchange, of_token)

    def feed_key(self, key: str) -> tuple[int, str]:
        """The exchange's number and the token of an instrument key. Raises KeyError."""
        self._learn()
        return self._keys[key]
