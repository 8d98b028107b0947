"""Instruments, prices and market hours by command."""

import re
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from simulator.control.answers import (
    ControlError,
    answer,
    any_price,
    field,
    instrument_key,
    price,
    read_json,
    read_object,
    shown_symbol,
    text,
    whole,
)
from simulator.dialects.kite.tokens import instrument_token
from simulator.exchange.instruments import Instrument, Kind, tick_for_price
from simulator.exchange.market import Market
from simulator.exchange.sessions import Hours
from simulator.money import rupees
from simulator.prices import Hand, Ramp, Replay, read_replay

if TYPE_CHECKING:
    from simulator.server import Simulator

_FIRST_ADDED_TOKEN = 800_001
_FREEZE = 1_000_000
_LARGEST_TOKEN = 2**23 - 1
_SYMBOL = re.compile(r"[A-Z0-9&-]{1,30}")


class MarketControls:
    """Handlers for instruments, prices, hours."""

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator
        self._exchange = simulator.exchange

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Put the handlers on their paths."""
        router.add_get("/control/instruments", self.instruments)
        router.add_post("/control/instruments", self.add_instrument)
        router.add_post("/control/instruments/circuit", self.set_circuit)
        router.add_post("/control/instruments/depth", self.set_depth)
        router.add_get("/control/prices", self.prices)
        router.add_post("/control/prices", self.set_prices)
        router.add_post("/control/prices/source", self.set_source)
        router.add_post("/control/ticks", self.raw_ticks)
        router.add_get("/control/market", self.market)
        router.add_post("/control/market", self.set_market)
        router.add_post("/control/day/roll", self.roll_day)

    async def instruments(self, request: web.Request) -> web.Response:
        """All instruments, or those whose symbol or name contains the query."""
        query = request.query.get("query", "").upper()
        markets = self._exchange.markets.values()
        return answer(
            [
                _describe(market)
                for market in markets
                if query in market.instrument.symbol.upper() or query in market.instrument.name.upper()
            ]
        )

    async def add_instrument(self, request: web.Request) -> web.Response:
        """List a new share."""
        body = await read_object(request)
        instrument = self._new_share(body)
        return answer(_describe(self._exchange.add_instrument(instrument, price=price(body["price"]))), status=201)

    def _new_share(self, body: dict[str, Any]) -> Instrument:
        key, first = instrument_key(field(body, "symbol")), price(field(body, "price"))
        exchange, _, symbol = key.partition(":")
        if exchange not in ("NSE", "BSE") or not _SYMBOL.fullmatch(symbol):
            raise ControlError("A share is named NSE:SYMBOL or BSE:SYMBOL, in capitals and digits.")
        if key in self._exchange.markets:
            raise ControlError(f"There is an instrument {key} already.")
        return Instrument(
            exchange,
            symbol,
            text(body, "name") or symbol,
            self._free_token(exchange, body.get("exchange_token")),
            Kind.EQUITY,
            price(body["tick_size"]) if body.get("tick_size") else tick_for_price(first),
            max(1, whole(body.get("lot_size", 1), "lot_size")),
            whole(body.get("freeze_quantity", _FREEZE), "freeze_quantity"),
        )

    def _free_token(self, exchange: str, wanted: object) -> int:
        instruments = (market.instrument for market in self._exchange.markets.values())
        taken = {instrument.exchange_token for instrument in instruments if instrument.exchange == exchange}
        if wanted is None:
            return next(token for token in count(_FIRST_ADDED_TOKEN) if token not in taken)
        token = whole(wanted, "exchange_token")
        if token in taken or not 0 < token <= _LARGEST_TOKEN:
            raise ControlError(f"The exchange token {token} is taken or not between 1 and {_LARGEST_TOKEN}.")
        return token

    async def set_circuit(self, request: web.Request) -> web.Response:
        """Set the circuit limits."""
        body = await read_object(request)
        key, lower, upper = instrument_key(field(body, "symbol")), price(field(body, "lower")), price(field(body, "upper"))
        if lower >= upper:
            raise ControlError("The lower limit must be below the upper one.")
        self._exchange.set_circuit(key, lower=lower, upper=upper)
        return answer(_describe(self._exchange.market(key)))

    async def set_depth(self, request: web.Request) -> web.Response:
        """Set how much the maker trades per side and price event."""
        body = await read_object(request)
        key = instrument_key(field(body, "symbol"))
        quantity = body.get("quantity")
        self._exchange.set_depth(key, None if quantity is None else whole(quantity, "quantity"))
        return answer(_describe(self._exchange.market(key)))

    async def prices(self, request: web.Request) -> web.Response:
        """Last prices and where they come from."""
        return answer(
            {
                shown_symbol(key): {
                    "last_price": rupees(market.last_price),
                    "close": rupees(market.close),
                    "source": self._simulator.prices.source(key),
                    "lower_circuit": rupees(market.lower_circuit),
                    "upper_circuit": rupees(market.upper_circuit),
                }
                for key, market in self._exchange.markets.items()
            }
        )

    async def set_prices(self, request: web.Request) -> web.Response:
        """Set prices now."""
        wanted = {instrument_key(symbol): price(value) for symbol, value in (await read_object(request)).items()}
        if not wanted:
            raise ControlError("Name at least one symbol with its price.")
        for key, units in wanted.items():
            self._check_inside(self._exchange.market(key), units)
        sent_ns = self._simulator.prices.set(wanted)
        shown = {shown_symbol(key): rupees(units) for key, units in wanted.items()}
        return answer({"sent_ns": sent_ns, "sockets": self._simulator.sockets(), "prices": shown})

    def _check_inside(self, market: Market, units: int) -> None:
        if not market.lower_circuit <= units <= market.upper_circuit:
            low, high = rupees(market.lower_circuit), rupees(market.upper_circuit)
            raise ControlError(
                f"{market.instrument.key} trades between {low} and {high} today; move its circuit first, or send a raw tick."
            )

    async def set_source(self, request: web.Request) -> web.Response:
        """Choose where prices come from."""
        body = await read_object(request)
        symbols, source = field(body, "symbols"), field(body, "source")
        if symbols != "all" and not isinstance(symbols, list):
            raise ControlError("The symbols must be a list or the word all.")
        if not isinstance(source, dict):
            raise ControlError("The source must be an object with a kind.")
        keys = list(self._exchange.markets) if symbols == "all" else [instrument_key(symbol) for symbol in symbols]
        for key in keys:
            self._exchange.market(key)
        used = self._use(keys, source, replays_all=symbols == "all")
        return answer({"source": source.get("kind"), "symbols": [shown_symbol(key) for key in used]})

    def _use(self, keys: list[str], source: dict[str, Any], *, replays_all: bool) -> list[str]:
        board = self._simulator.prices
        try:
            match source.get("kind"):
                case "hand":
                    for key in keys:
                        board.use(key, Hand())
                case "walk":
                    for key in keys:
                        board.walk(
                            key,
                            interval_seconds=max(0.01, float(source.get("interval_seconds", 1))),
                            step_bps=float(source.get("step_bps", 3)),
                        )
                case "ramp":
                    target = price(field(source, "to"))
                    for key in keys:
                        self._check_inside(self._exchange.market(key), target)
                        interval = max(0.01, float(source.get("interval_seconds", 0.25)))
                        board.use(key, Ramp(target, float(source.get("seconds", 10)), interval))
                case "replay":
                    return self._replay(keys, source, replays_all=replays_all)
                case _:
                    raise ControlError("The kind of a source is walk, hand, ramp or replay.")
        except (TypeError, ValueError) as error:
            raise ControlError(f"The source cannot be used: {error}.") from None
        return keys

    def _replay(self, keys: list[str], source: dict[str, Any], *, replays_all: bool) -> list[str]:
        try:
            recorded = read_replay(Path(str(field(source, "path"))))
        except OSError as error:
            raise ControlError(f"The recording cannot be read: {error.strerror}.") from None
        used = [key for key in keys if key in recorded]
        if not used or (not replays_all and len(used) < len(keys)):
            raise ControlError("The recording has no prices for some of these symbols.")
        for key in used:
            self._simulator.prices.use(key, Replay(recorded[key], float(source.get("speed", 1)), bool(source.get("loop"))))
        return used

    async def raw_ticks(self, request: web.Request) -> web.Response:
        """Tell the subscribers of every dialect any price, without touching the market."""
        ticks = await read_json(request)
        if not isinstance(ticks, list):
            raise ControlError("The body must be a list of ticks.")
        sent = 0
        for tick in ticks:
            market = self._exchange.market(instrument_key(tick.get("symbol") if isinstance(tick, dict) else None))
            price_units = any_price(tick.get("price"))
            sent += sum(dialect.send_odd_price(market, price_units) for dialect in self._simulator.dialects.values())
        return answer({"sent": sent})

    async def market(self, request: web.Request) -> web.Response:
        """Whether the market is open."""
        exchange = self._exchange
        return answer({"hours": exchange.hours, "open": exchange.is_open(), "trading_day": exchange.trading_day})

    async def set_market(self, request: web.Request) -> web.Response:
        """Choose the market's hours."""
        try:
            self._exchange.hours = Hours(str(field(await read_object(request), "hours")))
        except ValueError:
            raise ControlError("'hours' must be always_open, sessions or closed.") from None
        return await self.market(request)

    async def roll_day(self, request: web.Request) -> web.Response:
        """End the trading day."""
        self._simulator.roll_day()
        return await self.market(request)


def _describe(market: Market) -> dict[str, Any]:
    instrument = market.instrument
    return {
        "symbol": shown_symbol(instrument.key),
        "exchange": instrument.exchange,
        "tradingsymbol": instrument.symbol,
        "name": instrument.name,
        "instrument_token": instrument_token(instrument),
        "kind": instrument.kind,
        "tick_size": rupees(instrument.tick_size),
        "lot_size": instrument.lot_size,
        "freeze_quantity": instrument.freeze_quantity,
        "last_price": rupees(market.last_price),
        "close": rupees(market.close),
        "lower_circuit": rupees(market.lower_circuit),
        "upper_circuit": rupees(market.upper_circuit),
        "depth": market.depth,
    }
