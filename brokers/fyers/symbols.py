"""Fyers' keys for instruments: the ticker (`NSE:SBIN-EQ`) for orders and quotes, and the topic made from the fyToken for prices.

A fyToken is the exchange (2 digits), the segment (2), the expiry (6) and the exchange's own token. Our key for an adapter is
both, ticker and fyToken with a bar between, since neither follows from the other.
"""

from dataclasses import dataclass

from brokers.instrument_tokens import InstrumentTokens
from trading.instruments import InstrumentId, Segment
from trading.ports.broker import UnreadableAnswer

INDEX_SUFFIX = "-INDEX"
_EQUITY_SUFFIX = "-EQ"
# Series whose letters other brokers leave in the symbol as well: trade-to-trade, small companies, suspended.
_KEPT_SERIES = ("-BE", "-BZ", "-SM", "-ST", "-IV", "-RR")

# The first four digits of a fyToken: the name of the segment on the market data socket, our exchange, our segment.
SEGMENTS: dict[str, tuple[str, str, Segment]] = {
    "1010": ("nse_cm", "NSE", Segment.CASH),
    "1011": ("nse_fo", "NFO", Segment.DERIVATIVES),
    "1012": ("cde_fo", "CDS", Segment.CURRENCY),
    "1020": ("nse_com", "NCO", Segment.COMMODITY),
    "1120": ("mcx_fo", "MCX", Segment.COMMODITY),
    "1210": ("bse_cm", "BSE", Segment.CASH),
    "1211": ("bse_fo", "BFO", Segment.DERIVATIVES),
    "1212": ("bcs_fo", "BCD", Segment.CURRENCY),
}

# Indices whose ticker does not tell the exchange's name for them; the rest are found in the broker's own list.
INDEX_NAMES: dict[str, str] = {
    "NSE:NIFTY50-INDEX": "Nifty 50",
    "NSE:NIFTYBANK-INDEX": "Nifty Bank",
    "NSE:FINNIFTY-INDEX": "Nifty Fin Service",
    "NSE:MIDCPNIFTY-INDEX": "NIFTY MID SELECT",
    "NSE:NIFTYNXT50-INDEX": "Nifty Next 50",
    "NSE:INDIAVIX-INDEX": "India VIX",
    "BSE:SENSEX-INDEX": "SENSEX",
    "BSE:BANKEX-INDEX": "BANKEX",
}


@dataclass(frozen=True, slots=True)
class Key:
    """What an adapter needs to know of one instrument. `index_name` is empty for everything but indices."""

    ticker: str
    fy_token: str
    index_name: str = ""

    def __str__(self) -> str:
        return "|".join(part for part in (self.ticker, self.fy_token, self.index_name) if part)

    @classmethod
    def parse(cls, token: str) -> "Key":
        """Raises UnreadableAnswer for a key nobody here has made."""
        ticker, _, rest = token.partition("|")
        fy_token, _, index_name = rest.partition("|")
        if not ticker or not fy_token:
            raise UnreadableAnswer(f"not a key of an instrument: {token!r}")
        return cls(ticker, fy_token, index_name)

    @property
    def topic(self) -> str:
        """`sf|nse_cm|3045`, or `if|nse_cm|Nifty 50`. Raises UnreadableAnswer for a segment nobody knows."""
        segment = segment_of(self.fy_token)[0]
        if self.index_name:
            return f"if|{segment}|{self.index_name}"
        return f"sf|{segment}|{self.fy_token[10:]}"


def segment_of(fy_token: str) -> tuple[str, str, Segment]:
    """The segment a fyToken belongs to. Raises UnreadableAnswer for an unknown one."""
    found = SEGMENTS.get(fy_token[:4])
    if found is None or not fy_token.isdigit() or len(fy_token) < 11:
        raise UnreadableAnswer(f"unknown segment of fyToken {fy_token!r}")
    return found


def index_name(ticker: str, names: dict[str, str]) -> str:
    """The exchange's name of an index: from a list, else what stands between the exchange and the suffix."""
    return names.get(ticker) or INDEX_NAMES.get(ticker) or ticker.partition(":")[2].removesuffix(INDEX_SUFFIX)


def instrument_of(ticker: str, fy_token: str | None, names: dict[str, str] | None = None) -> InstrumentId:
    """Our key of a ticker. Without a fyToken only the shape of the ticker tells a share from a derivative.

    Raises UnreadableAnswer for anything that is no ticker.
    """
    prefix, _, symbol = ticker.partition(":")
    if prefix not in ("NSE", "BSE", "MCX") or not symbol:
        raise UnreadableAnswer(f"not a ticker: {ticker!r}")
    if symbol.endswith(INDEX_SUFFIX):
        return InstrumentId(prefix, index_name(ticker, names or {}).upper())
    exchange = segment_of(fy_token)[1] if fy_token else _guessed_exchange(prefix, symbol)
    if exchange == "NSE":
        symbol = symbol.removesuffix(_EQUITY_SUFFIX)
    elif exchange == "BSE" and "-" in symbol:
        # The group of the share, such as -A or -XT: other brokers do not write it.
        symbol = symbol.rpartition("-")[0]
    return InstrumentId(exchange, symbol)


def _guessed_exchange(prefix: str, symbol: str) -> str:
    if prefix == "MCX" or "-" in symbol:
        return prefix
    return {"NSE": "NFO", "BSE": "BFO"}[prefix]


def ticker_of(instrument: InstrumentId, tokens: InstrumentTokens) -> str | None:
    """The ticker by the broker's list; for NSE shares also by rule, so that an exit does not need the list. None: not known."""
    token = tokens.token_of(instrument)
    if token is not None:
        return Key.parse(token).ticker
    if instrument.exchange != "NSE":
        return None
    suffix = "" if instrument.symbol.endswith(_KEPT_SERIES) else _EQUITY_SUFFIX
    return f"NSE:{instrument.symbol}{suffix}"
