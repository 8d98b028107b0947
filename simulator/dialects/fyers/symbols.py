"""Tickers, fyTokens and the topics of the market data socket (Fyers API v3 documentation, "Symbology", "fyToken")."""

from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import Instrument, Kind
from simulator.exchange.market import Market

# Exchange to the prefix of its tickers, the first four digits of its fyTokens, and its name on the market data socket.
_EXCHANGES = {
    "NSE": ("NSE", "1010", "nse_cm"),
    "NFO": ("NSE", "1011", "nse_fo"),
    "CDS": ("NSE", "1012", "cde_fo"),
    "BSE": ("BSE", "1210", "bse_cm"),
    "BFO": ("BSE", "1211", "bse_fo"),
    "BCD": ("BSE", "1212", "bcs_fo"),
    "MCX": ("MCX", "1120", "mcx_fo"),
}
# Our name of an index to its ticker and its name on the market data socket.
_INDICES = {
    "NIFTY 50": ("NIFTY50", "Nifty 50", "26000"),
    "NIFTY BANK": ("NIFTYBANK", "Nifty Bank", "26009"),
}
_SERIES = ("-BE", "-BZ", "-SM", "-ST")
_BSE_GROUP = "-A"
KINDS = ("sf", "dp", "if")


def _index(instrument: Instrument) -> tuple[str, str, str]:
    plain = (instrument.symbol.replace(" ", ""), instrument.symbol, str(instrument.exchange_token))
    return _INDICES.get(instrument.symbol, plain)


def ticker(instrument: Instrument) -> str:
    """`NSE:SBIN-EQ`, `BSE:SBIN-A`, `NSE:NIFTY50-INDEX`, `NSE:RELIANCE26NOVFUT`."""
    prefix = _EXCHANGES[instrument.exchange][0]
    if instrument.kind is Kind.INDEX:
        return f"{prefix}:{_index(instrument)[0]}-INDEX"
    if instrument.kind is not Kind.EQUITY:
        return f"{prefix}:{instrument.symbol}"
    if instrument.exchange == "BSE":
        return f"{prefix}:{instrument.symbol}{_BSE_GROUP}"
    return f"{prefix}:{instrument.symbol}{'' if instrument.symbol.endswith(_SERIES) else '-EQ'}"


def fy_token(instrument: Instrument) -> str:
    """Exchange and segment (4 digits), expiry (6), the exchange's own token."""
    expiry = instrument.expiry.replace("-", "")[2:] or "000000"
    return f"{_EXCHANGES[instrument.exchange][1]}{expiry}{exchange_token(instrument)}"


def exchange_token(instrument: Instrument) -> str:
    """The token within the segment."""
    return _index(instrument)[2] if instrument.kind is Kind.INDEX else str(instrument.exchange_token)


def segment_name(instrument: Instrument) -> str:
    """The segment's name on the market data socket."""
    return _EXCHANGES[instrument.exchange][2]


def exchange_number(instrument: Instrument) -> int:
    """10 NSE, 11 MCX, 12 BSE."""
    return int(_EXCHANGES[instrument.exchange][1][:2])


def segment_number(instrument: Instrument) -> int:
    """10 cash, 11 equity derivatives, 12 currency, 20 commodity."""
    return int(_EXCHANGES[instrument.exchange][1][2:])


def index_name(instrument: Instrument) -> str:
    """The name of an index on the market data socket."""
    return _index(instrument)[1]


def topics(instrument: Instrument) -> dict[str, str]:
    """Kind to the topic an instrument has: quotes and depth, or for an index its value."""
    segment = segment_name(instrument)
    if instrument.kind is Kind.INDEX:
        return {"if": f"if|{segment}|{index_name(instrument)}"}
    return {kind: f"{kind}|{segment}|{exchange_token(instrument)}" for kind in ("sf", "dp")}


class SymbolMap:
    """Finds markets by ticker and by topic; learns instruments that were added since."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._by_ticker: dict[str, Market] = {}
        self._by_topic: dict[str, Market] = {}
        self._tickers: dict[str, str] = {}
        self._known = 0

    def _learn(self) -> None:
        if self._known == len(self._exchange.markets):
            return
        self._known = len(self._exchange.markets)
        for market in self._exchange.markets.values():
            name = ticker(market.instrument)
            self._by_ticker[name] = market
            self._tickers[market.instrument.key] = name
            for topic in topics(market.instrument).values():
                self._by_topic[topic] = market

    def market(self, name: str) -> Market | None:
        """The market of a ticker, None if there is none."""
        self._learn()
        return self._by_ticker.get(name)

    def of_topic(self, topic: str) -> Market | None:
        """The market of a topic, None if there is none."""
        self._learn()
        return self._by_topic.get(topic)

    def ticker(self, key: str) -> str:
        """The ticker of an instrument key. Raises KeyError."""
        self._learn()
        return self._tickers[key]
