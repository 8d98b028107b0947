"""One request, parsed: who calls, with which fields."""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from simulator.dialects.common import call as common
from simulator.dialects.kite.envelope import input_error
from simulator.exchange.accounts import Account
from simulator.exchange.orders import Origin
from simulator.money import LARGEST_PRICE, PRICE_SCALE, to_price
from simulator.registry import Registry

Choice = TypeVar("Choice", bound=StrEnum)
_INTEGER = re.compile(r"-?[0-9]{1,12}\Z")
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,8})?\Z")


@dataclass(slots=True)
class Call(common.Call):
    """`fields` are the form (POST, PUT) or the query (GET, DELETE), under Kite's own names."""

    def many(self, name: str) -> list[str]:
        """All values of a repeated query field."""
        return self.request.query.getall(name, [])

    def json(self) -> Any:
        """The body as JSON. Raises KiteError."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise input_error("Invalid JSON in the request body.") from None

    def required(self, name: str) -> str:
        """A field that must be there. Raises KiteError."""
        value = self.fields.get(name, "")
        if not value:
            raise input_error(f"Missing or empty field `{name}`")
        return value

    def choice(self, name: str, kind: type[Choice]) -> Choice:
        """A required field with fixed values. Raises KiteError."""
        return self._as_choice(name, self.required(name), kind)

    def optional_choice(self, name: str, kind: type[Choice]) -> Choice | None:
        """A field with fixed values, None if absent or empty. Raises KiteError."""
        value = self.fields.get(name)
        return self._as_choice(name, value, kind) if value else None

    def _as_choice(self, name: str, value: str, kind: type[Choice]) -> Choice:
        try:
            return kind(value)
        except ValueError:
            raise input_error(f"Invalid `{name}`.") from None

    def integer(self, name: str) -> int | None:
        """A whole number, None if absent or empty. Raises KiteError."""
        value = self.fields.get(name)
        if not value:
            return None
        if not _INTEGER.match(value):
            raise input_error(f"Invalid `{name}`.")
        return int(value)

    def price(self, name: str) -> int | None:
        """Rupees as price units, None if absent or empty. Raises KiteError."""
        number = self.number(name)
        if number is None:
            return None
        try:
            return to_price(number)
        except ValueError:
            raise input_error(f"Invalid `{name}`.") from None

    def number(self, name: str) -> Decimal | None:
        """A decimal number, None if absent or empty. Raises KiteError."""
        value = self.fields.get(name)
        if not value:
            return None
        if not _NUMBER.match(value) or abs(Decimal(value)) > LARGEST_PRICE // PRICE_SCALE:
            raise input_error(f"Invalid `{name}`.")
        return Decimal(value)


def read_fields(request: web.Request, body: bytes) -> dict[str, str]:
    """The form of a POST or PUT, the query of anything else; the first value of a repeated field counts."""
    if request.method not in ("POST", "PUT") or request.content_type == "application/json":
        return {name: value for name, value in reversed(list(request.query.items()))}
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100)
    except (UnicodeDecodeError, ValueError):
        raise input_error("The request body is not a form.") from None
    return dict(reversed(pairs))


class KiteReader:
    """Implements `common.gateway.Reader`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def call(self, request: web.Request, body: bytes, origin: Origin) -> Call:
        return Call(request, body, {}, origin)

    def read_fields(self, kind: str, call: Call) -> dict[str, str]:
        return read_fields(call.request, call.body)

    def authenticate(self, call: Call) -> Account | None:
        """`Authorization: token api_key:access_token`."""
        scheme, _, credentials = call.request.headers.get("Authorization", "").partition(" ")
        api_key, _, access_token = credentials.strip().partition(":")
        if scheme.lower() != "token" or not access_token:
            return None
        return self._registry.authenticate(api_key, access_token)
