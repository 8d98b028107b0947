"""The instrument master as CSV (Kite Connect v3 documentation, "Market quotes and instruments")."""

import csv
import gzip
import io
from collections.abc import Iterable

from aiohttp import web

from simulator.dialects.kite.envelope import KiteError, failure
from simulator.dialects.kite.tokens import instrument_token
from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import Instrument, Kind
from simulator.exchange.market import Market
from simulator.money import PRICE_SCALE, rupees

COLUMNS = (
    "instrument_token", "exchange_token", "tradingsymbol", "name", "last_price", "expiry", "strike", "tick_size",
    "lot_size", "instrument_type", "segment", "exchange",
)  # fmt: skip
_EXCHANGES = {"NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX"}


class Master:
    """Renders the master; needs no token, as at the broker."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def all(self, request: web.Request) -> web.Response:
        """`GET /instruments`."""
        return _respond(request, self._exchange.markets.values())

    async def of_exchange(self, request: web.Request) -> web.Response:
        """`GET /instruments/{exchange}`."""
        name = request.match_info["exchange"]
        if name not in _EXCHANGES:
            return failure(KiteError(400, "InputException", "Invalid `exchange`.")).to_response(request)
        return _respond(request, (market for market in self._exchange.markets.values() if market.instrument.exchange == name))


def _respond(request: web.Request, markets: Iterable[Market]) -> web.Response:
    body, headers = render(markets), {}
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        body, headers = gzip.compress(body, compresslevel=1), {"Content-Encoding": "gzip"}
    return web.Response(body=body, content_type="text/csv", headers=headers)


def render(markets: Iterable[Market]) -> bytes:
    """The CSV with its header line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for market in markets:
        instrument = market.instrument
        writer.writerow((
            instrument_token(instrument), instrument.exchange_token, instrument.symbol, instrument.name,
            rupees(market.last_price), instrument.expiry, rupees(instrument.strike), _tick(instrument),
            instrument.lot_size, _type(instrument), _segment(instrument), instrument.exchange,
        ))  # fmt: skip
    return text.getvalue().encode()


def _tick(instrument: Instrument) -> str:
    decimals = 4 if instrument.tick_size % (PRICE_SCALE // 100) else 2
    return f"{instrument.tick_size / PRICE_SCALE:.{decimals}f}"


def _type(instrument: Instrument) -> str:
    return "EQ" if instrument.kind is Kind.INDEX else instrument.kind


def _segment(instrument: Instrument) -> str:
    if instrument.kind is Kind.INDEX:
        return "INDICES"
    if instrument.kind is Kind.EQUITY:
        return instrument.exchange
    return f"{instrument.exchange}-{'FUT' if instrument.kind is Kind.FUTURE else 'OPT'}"
