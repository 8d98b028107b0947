"""The instrument list as CSV, compact and detailed (DhanHQ v2 documentation, "Instrument list")."""

import csv
import gzip
import io
from collections.abc import Callable, Iterable

from aiohttp import web

from simulator.dialects.dhan.errors import bad_input
from simulator.dialects.dhan.segments import WORDS, list_segment, segment_word, trading_symbol
from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import Instrument, Kind
from simulator.exchange.market import Market
from simulator.money import PRICE_SCALE

COMPACT = (
    "SEM_EXM_EXCH_ID", "SEM_SEGMENT", "SEM_SMST_SECURITY_ID", "SEM_INSTRUMENT_NAME", "SEM_EXPIRY_CODE", "SEM_TRADING_SYMBOL",
    "SEM_LOT_UNITS", "SEM_CUSTOM_SYMBOL", "SEM_EXPIRY_DATE", "SEM_STRIKE_PRICE", "SEM_OPTION_TYPE", "SEM_TICK_SIZE",
    "SEM_EXPIRY_FLAG", "SEM_EXCH_INSTRUMENT_TYPE", "SEM_SERIES", "SM_SYMBOL_NAME",
)  # fmt: skip
DETAILED = (
    "EXCH_ID", "SEGMENT", "SECURITY_ID", "ISIN", "INSTRUMENT", "UNDERLYING_SECURITY_ID", "UNDERLYING_SYMBOL", "SYMBOL_NAME",
    "DISPLAY_NAME", "INSTRUMENT_TYPE", "SERIES", "LOT_SIZE", "SM_EXPIRY_DATE", "STRIKE_PRICE", "OPTION_TYPE", "TICK_SIZE",
    "EXPIRY_FLAG", "ASM_GSM_FLAG", "ASM_GSM_CATEGORY", "BUY_SELL_INDICATOR", "MTF_LEVERAGE",
)  # fmt: skip
_TYPES = {Kind.EQUITY: "ES", Kind.INDEX: "INDEX", Kind.FUTURE: "FUT", Kind.CALL: "OP", Kind.PUT: "OP"}

Line = tuple[object, ...]


class Master:
    """Renders the list; needs no token, as at the broker."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def compact(self, request: web.Request) -> web.Response:
        """`api-scrip-master.csv`."""
        return _respond(request, render(COMPACT, compact_line, self._exchange.markets.values()))

    async def detailed(self, request: web.Request) -> web.Response:
        """`api-scrip-master-detailed.csv`."""
        return _respond(request, render(DETAILED, detailed_line, self._exchange.markets.values()))

    async def of_segment(self, request: web.Request) -> web.Response:
        """`GET /v2/instrument/{exchangeSegment}`: the detailed form of one segment."""
        word = request.match_info["segment"]
        if word not in WORDS:
            return bad_input("Invalid exchangeSegment.").reply().to_response(request)
        markets = (market for market in self._exchange.markets.values() if segment_word(market.instrument) == word)
        return _respond(request, render(DETAILED, detailed_line, markets))


def _respond(request: web.Request, body: bytes) -> web.Response:
    headers = {}
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        body, headers = gzip.compress(body, compresslevel=1), {"Content-Encoding": "gzip"}
    return web.Response(body=body, content_type="text/csv", headers=headers)


def render(columns: Line, line: Callable[[Instrument], Line], markets: Iterable[Market]) -> bytes:
    """The CSV with its header line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(line(market.instrument) for market in markets)
    return text.getvalue().encode()


def compact_line(instrument: Instrument) -> Line:
    """One line of the compact form."""
    exchange, letter = list_segment(instrument)
    is_share = instrument.kind is Kind.EQUITY
    return (
        exchange, letter, instrument.exchange_token, _instrument_name(instrument), 0, trading_symbol(instrument),
        f"{max(instrument.lot_size, 1):.1f}", instrument.name, instrument.expiry, _strike(instrument), _option_type(instrument),
        _tick(instrument), "NA" if is_share else "M", _TYPES[instrument.kind], _series(instrument),
        instrument.name if is_share else "",
    )  # fmt: skip


def detailed_line(instrument: Instrument) -> Line:
    """One line of the detailed form."""
    exchange, letter = list_segment(instrument)
    is_share = instrument.kind is Kind.EQUITY
    return (
        exchange, letter, instrument.exchange_token, "NA", _instrument_name(instrument), "",
        instrument.symbol if instrument.kind in (Kind.EQUITY, Kind.INDEX) else instrument.name,
        instrument.name if is_share else trading_symbol(instrument), instrument.name, _TYPES[instrument.kind],
        _series(instrument) or "NA", f"{max(instrument.lot_size, 1):.1f}", instrument.expiry, _strike(instrument),
        _option_type(instrument), _tick(instrument), "NA" if is_share else "M", "N", "NA", "A", "0.0",
    )  # fmt: skip


def _instrument_name(instrument: Instrument) -> str:
    if instrument.kind in (Kind.EQUITY, Kind.INDEX):
        return instrument.kind.name
    of_index = instrument.name in ("NIFTY", "BANKNIFTY", "SENSEX")
    return ("FUT" if instrument.kind is Kind.FUTURE else "OPT") + ("IDX" if of_index else "STK")


def _series(instrument: Instrument) -> str:
    if instrument.kind is Kind.INDEX:
        return "X"
    if instrument.kind is not Kind.EQUITY:
        return ""
    return "EQ" if instrument.exchange == "NSE" else "A"


def _strike(instrument: Instrument) -> str:
    return f"{instrument.strike / PRICE_SCALE:.2f}" if instrument.kind.is_option else ""


def _option_type(instrument: Instrument) -> str:
    return str(instrument.kind) if instrument.kind.is_option else "XX" if instrument.expiry else ""


def _tick(instrument: Instrument) -> str:
    """Paise, but rupees for indices, as the broker's own file has it."""
    if instrument.kind is Kind.INDEX:
        return f"{instrument.tick_size / PRICE_SCALE:.2f}"
    return f"{instrument.tick_size * 100 / PRICE_SCALE:.4f}"
