"""The public instrument list: one JSON array, everything in it text (SmartAPI documentation, "Instruments")."""

from collections.abc import Iterable

import orjson
from aiohttp import web

from simulator.dialects.angel_one import tokens
from simulator.dialects.angel_one.shapes import instrument_type
from simulator.dialects.common.reply import Reply
from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import Kind
from simulator.exchange.market import Market
from simulator.money import PRICE_SCALE

PATH = "/OpenAPI_File/files/OpenAPIScripMaster.json"


class Master:
    """Needs no token, as at the broker."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def all(self, request: web.Request) -> web.Response:
        """`GET OpenAPIScripMaster.json`."""
        return Reply(render(self._exchange.markets.values())).to_response(request)


def render(markets: Iterable[Market]) -> bytes:
    return orjson.dumps([_entry(market) for market in markets])


def _entry(market: Market) -> dict[str, str]:
    instrument = market.instrument
    is_option, is_index = instrument.kind.is_option, instrument.kind is Kind.INDEX
    return {
        "token": tokens.token(instrument),
        "symbol": tokens.symbol(instrument),
        # Shares are named by their symbol here, so that they meet their derivatives.
        "name": instrument.symbol if instrument.kind is Kind.EQUITY else instrument.name,
        "expiry": tokens.expiry(instrument, "%d%b%Y"),
        "strike": _paise(instrument.strike) if is_option else "-1.000000",
        "lotsize": str(instrument.lot_size),
        "instrumenttype": instrument_type(instrument),
        "exch_seg": instrument.exchange,
        "tick_size": "0.000000" if is_index else _paise(instrument.tick_size),
    }


def _paise(price: int) -> str:
    return f"{price * 100 / PRICE_SCALE:.6f}"
