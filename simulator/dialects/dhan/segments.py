"""Segments and security ids (DhanHQ v2 documentation, Annexure: "Exchange segment"; "Instrument list")."""

from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import Instrument, Kind
from simulator.exchange.market import Market

# Our exchange to the word of orders, the number of feed packets, and exchange and letter of the list.
_SEGMENTS = {
    "NSE": ("NSE_EQ", 1, "NSE", "E"),
    "NFO": ("NSE_FNO", 2, "NSE", "D"),
    "CDS": ("NSE_CURRENCY", 3, "NSE", "C"),
    "BSE": ("BSE_EQ", 4, "BSE", "E"),
    "MCX": ("MCX_COMM", 5, "MCX", "M"),
    "BCD": ("BSE_CURRENCY", 7, "BSE", "C"),
    "BFO": ("BSE_FNO", 8, "BSE", "D"),
}
INDICES = "IDX_I"
WORDS = frozenset({INDICES, *(word for word, *_ in _SEGMENTS.values())})
_MOST_DIGITS = 18


def segment_word(instrument: Instrument) -> str:
    """`NSE_EQ`, `IDX_I` ..."""
    return INDICES if instrument.kind is Kind.INDEX else _SEGMENTS[instrument.exchange][0]


def segment_number(instrument: Instrument) -> int:
    """The segment byte of a packet."""
    return 0 if instrument.kind is Kind.INDEX else _SEGMENTS[instrument.exchange][1]


def list_segment(instrument: Instrument) -> tuple[str, str]:
    """Exchange and letter, as the instrument list and the order updates write them."""
    _, _, exchange, letter = _SEGMENTS[instrument.exchange]
    return exchange, "I" if instrument.kind is Kind.INDEX else letter


def trading_symbol(instrument: Instrument) -> str:
    """The exchange's symbol; `NIFTY-Sep2026-24500-CE` for a contract."""
    if instrument.kind in (Kind.EQUITY, Kind.INDEX):
        return instrument.symbol
    year, month, _ = instrument.expiry.split("-")
    when = f"{_MONTHS[int(month) - 1]}{year}"
    if instrument.kind is Kind.FUTURE:
        return f"{instrument.name}-{when}-FUT"
    return f"{instrument.name}-{when}-{instrument.strike // 10_000}-{instrument.kind}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class SecurityIds:
    """Finds markets by segment and security id; learns instruments that were added since."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._by_id: dict[tuple[str, str], Market] = {}
        self._known = 0

    def market(self, segment: str, security_id: object) -> Market | None:
        """The market of an id, given as text or as a number; None if there is none."""
        if self._known != len(self._exchange.markets):
            markets = self._exchange.markets.values()
            self._by_id = {(segment_word(one.instrument), str(one.instrument.exchange_token)): one for one in markets}
            self._known = len(self._exchange.markets)
        return self._by_id.get((segment, str(security_id)))
