"""One request, parsed: who calls, with which fields. Numbers may come as text, and text as numbers."""

from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

import orjson
from aiohttp import web

from simulator.dialects.angel_one.envelope import AngelError, bad_input
from simulator.dialects.common import call as common
from simulator.exchange.accounts import Account
from simulator.exchange.orders import Origin
from simulator.money import LARGEST_PRICE, PRICE_SCALE, to_price
from simulator.registry import Registry

Choice = TypeVar("Choice", bound=StrEnum)
NAME = "angel_one"
_BEARER = "bearer "
# What the log and the faults call this broker's fields.
_COMMON_NAMES = {"ordertag": "tag", "transactiontype": "transaction_type", "orderid": "order_id", "producttype": "product"}


@dataclass(slots=True)
class Call(common.Call):
    """`data` is the JSON body."""

    data: dict[str, Any] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A field as text; empty if absent or null."""
        value = self.data.get(name)
        return "" if value is None else str(value).strip()

    def required(self, name: str) -> str:
        """A field that must be there. Raises AngelError."""
        value = self.text(name)
        if not value:
            raise bad_input()
        return value

    def choice(self, name: str, kind: type[Choice], *, code: str = "AB1004") -> Choice:
        """A required field with fixed values. Raises AngelError with that code."""
        try:
            return kind(self.required(name).upper())
        except ValueError:
            raise AngelError(code, f"Invalid {name}") from None

    def integer(self, name: str) -> int | None:
        """A whole number, None if absent or empty. Raises AngelError."""
        number = self.number(name)
        if number is not None and number != int(number):
            raise bad_input()
        return None if number is None else int(number)

    def price(self, name: str) -> int | None:
        """Rupees as price units, None if absent or empty. Raises AngelError."""
        number = self.number(name)
        try:
            return None if number is None else to_price(number)
        except ValueError:
            raise bad_input() from None

    def number(self, name: str) -> Decimal | None:
        """A decimal number, None if absent or empty. Raises AngelError."""
        value = self.text(name)
        if not value:
            return None
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise bad_input() from None
        if not number.is_finite() or abs(number) > LARGEST_PRICE // PRICE_SCALE:
            raise bad_input()
        return number


class AngelReader:
    """Implements `common.gateway.Reader`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def call(self, request: web.Request, body: bytes, origin: Origin) -> Call:
        return Call(request, body, {}, origin)

    def read_fields(self, kind: str, call: Call) -> dict[str, str]:
        """The body's plain fields, under this broker's names and the common ones; nothing of a login but who it is for."""
        if call.body:
            try:
                found = orjson.loads(call.body)
            except orjson.JSONDecodeError:
                raise bad_input() from None
            if not isinstance(found, dict):
                raise bad_input()
            call.data = found
        if kind == "session":
            return {"api_key": call.request.headers.get("X-PrivateKey", "")}
        fields = {name: str(value) for name, value in call.data.items() if isinstance(value, str | int | float)}
        fields |= {common: fields[name] for name, common in _COMMON_NAMES.items() if name in fields}
        if "tradingsymbol" in fields:
            fields["tradingsymbol"] = fields["tradingsymbol"].removesuffix("-EQ")
        return fields

    def authenticate(self, call: Call) -> Account | None:
        return authenticated(
            self._registry, call.request.headers.get("Authorization", ""), call.request.headers.get("X-PrivateKey", "")
        )


def authenticated(registry: Registry, authorization: str, api_key: str) -> Account | None:
    """The account of a living token of this dialect, with or without the word before it."""
    token = authorization[len(_BEARER) :] if authorization.lower().startswith(_BEARER) else authorization
    account = registry.of_token(token.strip(), dialect=NAME)
    return account if account is not None and api_key in ("", account.api_key) else None
