"""The instrument lists (Fyers API v3 documentation, "Symbol master"): CSV without a header, one file for each segment."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime

import orjson
from aiohttp import web

from simulator.clock import INDIA_OFFSET_SECONDS
from simulator.dialects.fyers import symbols
from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import Instrument, Kind
from simulator.exchange.market import Market
from simulator.money import rupees

FILES = {
    "NSE_CM": "NSE", "NSE_FO": "NFO", "NSE_CD": "CDS", "NSE_COM": None, "BSE_CM": "BSE", "BSE_FO": "BFO", "MCX_COM": "MCX",
}  # fmt: skip
"""File to the exchange it lists."""
_SESSION = "0915-1530|1815-1915:"
_TYPES = {Kind.EQUITY: 0, Kind.INDEX: 10, Kind.FUTURE: 11, Kind.CALL: 14, Kind.PUT: 14}
_CLOSE_SECONDS = 15 * 3600 + 30 * 60


class Master:
    """Renders the lists; needs no token, as at the broker."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def file(self, request: web.Request) -> web.Response:
        """`GET /sym_details/{file}.csv`."""
        name = request.match_info["file"]
        if name not in FILES:
            raise web.HTTPNotFound
        listed = [market for market in self._exchange.markets.values() if market.instrument.exchange == FILES[name]]
        return web.Response(body=render(listed, self._exchange), content_type="text/csv")

    async def index_names(self, request: web.Request) -> web.Response:
        """`GET /sym_details/index_hsm_mapping.json`: ticker to the name on the market data socket."""
        indices = [market.instrument for market in self._exchange.markets.values() if market.instrument.kind is Kind.INDEX]
        names = {symbols.ticker(instrument): symbols.index_name(instrument) for instrument in indices}
        return web.Response(body=orjson.dumps(names), content_type="application/json")


def render(markets: Iterable[Market], exchange: Exchange) -> bytes:
    """The CSV, without a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for market in markets:
        instrument = market.instrument
        underlying, underlying_token, underlying_fy_token = _underlying(instrument, exchange)
        writer.writerow((
            symbols.fy_token(instrument), _details(instrument), _TYPES[instrument.kind], instrument.lot_size,
            rupees(instrument.tick_size), f"INE{instrument.exchange_token:06d}010"[:12] if instrument.kind is Kind.EQUITY else "",
            _SESSION, exchange.trading_day, _expiry(instrument), symbols.ticker(instrument),
            symbols.exchange_number(instrument), symbols.segment_number(instrument), symbols.exchange_token(instrument),
            underlying, underlying_token, rupees(instrument.strike) if instrument.strike else -1.0,
            instrument.kind if instrument.kind.is_option else "XX", underlying_fy_token, "None", 1, 3.7,
        ))  # fmt: skip
    return text.getvalue().encode()


def _details(instrument: Instrument) -> str:
    return symbols.ticker(instrument).partition(":")[2] if instrument.kind is Kind.INDEX else instrument.name


def _underlying(instrument: Instrument, exchange: Exchange) -> tuple[str, str, str]:
    """Name, token and fyToken of what a derivative is about; a share is about itself."""
    if not instrument.expiry:
        name = instrument.name.split(" ")[0] if instrument.kind is Kind.INDEX else instrument.symbol
        return name, symbols.exchange_token(instrument), symbols.fy_token(instrument)
    share = exchange.markets.get(f"NSE:{instrument.name}")
    if share is None:
        return instrument.name, "", ""
    return instrument.name, symbols.exchange_token(share.instrument), symbols.fy_token(share.instrument)


def _expiry(instrument: Instrument) -> str:
    if not instrument.expiry:
        return ""
    day = datetime.strptime(instrument.expiry, "%Y-%m-%d").replace(tzinfo=UTC)
    return str(int(day.timestamp()) + _CLOSE_SECONDS - INDIA_OFFSET_SECONDS)
