"""Requests and answers of the control API."""

from typing import Any

import orjson
from aiohttp import web

from simulator.exchange.instruments import split_key
from simulator.exchange.refusals import Reason, Refusal
from simulator.money import LARGEST_PRICE, to_price


class ControlError(Exception):
    """Something the caller got wrong: one sentence, and 400 or 404."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def answer(data: Any, *, status: int = 200) -> web.Response:
    """JSON."""
    return web.Response(body=orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS), status=status, content_type="application/json")


async def read_object(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object; an empty body is an empty object. Raises ControlError."""
    body = await read_json(request)
    if not isinstance(body, dict):
        raise ControlError("The body must be a JSON object.")
    return body


async def read_json(request: web.Request) -> Any:
    """The body as JSON. Raises ControlError."""
    raw = await request.read()
    if not raw.strip():
        return {}
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise ControlError("The body is not JSON.") from None


def field(body: dict[str, Any], name: str) -> Any:
    """A field that must be there. Raises ControlError."""
    value = body.get(name)
    if value is None or value == "":
        raise ControlError(f"The field {name!r} is missing.")
    return value


def text(body: dict[str, Any], name: str) -> str | None:
    """A text field, None if absent, null or empty. Raises ControlError."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise ControlError(f"The field {name!r} must be a text.")
    return value or None


def price(value: object) -> int:
    """Rupees, more than zero, as price units. Raises ControlError."""
    units = any_price(value)
    if units <= 0:
        raise ControlError(f"A price must be above zero: {value!r}.")
    return units


def any_price(value: object) -> int:
    """Rupees of either sign, up to a crore, as price units. Raises ControlError."""
    try:
        units = to_price(value)
    except ValueError as error:
        raise ControlError(str(error)) from None
    if abs(units) > LARGEST_PRICE:
        raise ControlError(f"A price is at most one crore rupees: {value!r}.")
    return units


def whole(value: object, name: str) -> int:
    """A whole number of at least zero. Raises ControlError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ControlError(f"{name!r} must be a whole number of at least zero.")
    return value


def instrument_key(symbol: object) -> str:
    """`TCS` or `NFO:NAME` as a key. Raises ControlError."""
    if not isinstance(symbol, str) or not symbol:
        raise ControlError("A symbol must be a text such as TCS or NFO:NAME.")
    return split_key(symbol)


def shown_symbol(key: str) -> str:
    """The reverse: NSE keys lose their exchange."""
    return key.removeprefix("NSE:")


def refusal_message(refusal: Refusal) -> str:
    """A refusal as a sentence."""
    if refusal.reason is Reason.UNKNOWN_INSTRUMENT:
        return f"There is no instrument {refusal.details.get('instrument')}."
    return f"Refused: {refusal.reason.name.lower().replace('_', ' ')}."
