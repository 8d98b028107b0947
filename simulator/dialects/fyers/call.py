"""One request, parsed: who calls, with which fields. Bodies are JSON objects; GET has a query."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson
from aiohttp import web

from simulator.dialects.common import call as common
from simulator.dialects.fyers.envelope import input_error
from simulator.dialects.fyers.symbols import SymbolMap
from simulator.dialects.fyers.tokens import Doorman
from simulator.exchange.accounts import Account
from simulator.exchange.orders import Origin
from simulator.faults import WRITES
from simulator.money import to_price

_WORDS = {"qty": "quantity", "limitPrice": "price", "stopPrice": "trigger_price", "orderTag": "tag", "id": "order_id"}
_TYPES = {1: "LIMIT", 2: "MARKET", 3: "SL-M", 4: "SL"}
_SIDES = {1: "BUY", -1: "SELL"}


@dataclass(slots=True)
class Call(common.Call):
    """`given` is the JSON object of the body, or the query."""

    given: dict[str, Any] = field(default_factory=dict)

    def required(self, name: str) -> Any:
        """A field that must be there. Raises FyersError."""
        value = self.given.get(name)
        if value in (None, ""):
            raise input_error(f"{name} is required")
        return value

    def text(self, name: str) -> str:
        """A required text. Raises FyersError."""
        value = self.required(name)
        if not isinstance(value, str):
            raise input_error(f"{name} should be a string")
        return value

    def integer(self, name: str, otherwise: int | None = None) -> int:
        """A whole number, as a JSON number. Raises FyersError."""
        value = self.given.get(name, otherwise)
        if isinstance(value, bool) or not isinstance(value, int):
            raise input_error(f"{name} should be an integer")
        return value

    def price(self, name: str) -> int:
        """Rupees as a JSON number, in price units; zero when absent. Raises FyersError."""
        value = self.given.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise input_error(f"{name} should be a number")
        try:
            return to_price(Decimal(str(value)))
        except ValueError:
            raise input_error(f"{name} is invalid") from None


class FyersReader:
    """Implements `common.gateway.Reader`."""

    def __init__(self, doorman: Doorman, symbol_map: SymbolMap) -> None:
        self._doorman = doorman
        self._symbols = symbol_map

    def call(self, request: web.Request, body: bytes, origin: Origin) -> Call:
        return Call(request, body, {}, origin)

    def authenticate(self, call: Call) -> Account | None:
        return self._doorman.by_header(call.request.headers.get("Authorization", ""))

    def read_fields(self, kind: str, call: Call) -> dict[str, str]:
        """Fills `given`; answers what the exchange's log and the faults know, under their own names. Raises FyersError."""
        call.given = self._given(call)
        if kind == "session":
            owner = self._doorman.by_code(str(call.given.get("code", "")))
            return {} if owner is None else {"api_key": owner.api_key}
        if kind not in WRITES:
            return {name: value for name, value in call.given.items() if isinstance(value, str)}
        return self.described(call.given)

    def _given(self, call: Call) -> dict[str, Any]:
        path = dict(call.request.match_info)
        if call.request.method == "GET" or not call.body:
            return dict(call.request.query) | path
        try:
            value = orjson.loads(call.body)
        except orjson.JSONDecodeError:
            raise input_error("Invalid JSON in the request body") from None
        if isinstance(value, list):
            # Several orders at once: each is a call of its own, made by its endpoint.
            return {"several": value}
        if value is not None and not isinstance(value, dict):
            raise input_error("The request body should be an object")
        # Null is what the broker's own client sends where it has nothing to say.
        return (value or {}) | path

    def described(self, given: dict[str, Any]) -> dict[str, str]:
        """An order request in the exchange's own words."""
        found = {_WORDS[name]: _plain(value) for name, value in given.items() if name in _WORDS and value is not None}
        market = self._symbols.market(given["symbol"]) if isinstance(given.get("symbol"), str) else None
        if market is not None:
            found |= {"exchange": market.instrument.exchange, "tradingsymbol": market.instrument.symbol}
        elif isinstance(given.get("symbol"), str):
            found["tradingsymbol"] = given["symbol"]
        if isinstance(kind := given.get("type"), int):
            found["order_type"] = _TYPES.get(kind, str(kind))
        if isinstance(side := given.get("side"), int):
            found["transaction_type"] = _SIDES.get(side, str(side))
        if isinstance(product := given.get("productType"), str):
            found["product"] = {"INTRADAY": "MIS", "MARGIN": "NRML"}.get(product, product)
        return found


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
