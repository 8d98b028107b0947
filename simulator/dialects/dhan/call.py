"""One request, parsed: who calls, with which fields of a JSON body."""

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from aiohttp import web

from simulator.dialects.common import call as common
from simulator.dialects.dhan.errors import bad_input
from simulator.dialects.dhan.segments import SecurityIds
from simulator.dialects.dhan.sessions import Sessions
from simulator.exchange.accounts import Account
from simulator.exchange.market import Market
from simulator.exchange.orders import Origin
from simulator.money import to_price

Word = TypeVar("Word")
_INTEGER = re.compile(r"-?[0-9]{1,12}\Z")
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,8})?\Z")


@dataclass(slots=True)
class Call(common.Call):
    """`given` is the JSON object of the body."""

    given: dict[str, Any] = field(default_factory=dict)

    def header(self, name: str) -> str:
        """A header, empty if absent."""
        return str(self.request.headers.get(name, ""))

    def text(self, name: str) -> str:
        """A field that must be there. Raises DhanError."""
        value = self.given.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise bad_input(f"Missing or bad field {name}.")
        return str(value)

    def optional_text(self, name: str) -> str | None:
        """A text that may be absent, null or empty. Raises DhanError."""
        return self.text(name) if self.given.get(name) not in (None, "") else None

    def choice(self, name: str, words: dict[str, Word]) -> Word:
        """A required field with fixed values. Raises DhanError."""
        found = words.get(self.text(name))
        if found is None:
            raise bad_input(f"Invalid {name}.")
        return found

    def integer(self, name: str) -> int | None:
        """A whole number, None if absent or null; an empty text is an error, as at the broker. Raises DhanError."""
        value = self.given.get(name)
        if value is None:
            return None
        if isinstance(value, Decimal) and value == value.to_integral_value():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | str) or not _INTEGER.match(str(value)):
            raise bad_input(f"Invalid {name}.")
        return int(value)

    def price(self, name: str) -> int | None:
        """Rupees as price units, None if absent or null. Raises DhanError."""
        value = self.given.get(name)
        if value is None:
            return None
        if (
            isinstance(value, bool)
            or not isinstance(value, int | str | Decimal)
            or not _NUMBER.match(f"{value:f}" if isinstance(value, Decimal) else str(value))
        ):
            raise bad_input(f"Invalid {name}.")
        try:
            return to_price(value)
        except ValueError:
            raise bad_input(f"Invalid {name}.") from None

    def check_client(self) -> None:
        """Bodies name their client. Raises DhanError."""
        if self.text("dhanClientId") != self.account.user_id:
            raise bad_input("dhanClientId is not the token's.")


class DhanReader:
    """Implements `common.gateway.Reader`."""

    def __init__(self, sessions: Sessions, ids: SecurityIds) -> None:
        self._sessions = sessions
        self._ids = ids

    def call(self, request: web.Request, body: bytes, origin: Origin) -> Call:
        return Call(request, body, {}, origin)

    def read_fields(self, kind: str, call: Call) -> dict[str, str]:
        """Under the names of the exchange's log and faults; anything else is kept as it came."""
        fields = dict(call.request.query)
        if call.body:
            call.given = _object(call.body)
            fields |= {name: str(value) for name, value in call.given.items() if isinstance(value, str | int | Decimal)}
        for theirs, ours in _LOG_NAMES.items():
            if theirs in fields:
                fields[ours] = fields[theirs]
        market = self.market(call)
        if market is not None:
            fields["tradingsymbol"] = market.instrument.symbol
        if kind == "session":
            fields["api_key"] = self._who_logs_in(call, fields)
        return fields

    def _who_logs_in(self, call: Call, fields: dict[str, str]) -> str:
        """The account's key, from the app id or the client id, so that faults find it; empty for nobody we know."""
        account = self._sessions.of_client(fields.get("dhanClientId") or call.header("app_id"))
        return account.api_key if account is not None else ""

    def market(self, call: Call) -> Market | None:
        """What the body names, if it names anything."""
        return self._ids.market(str(call.given.get("exchangeSegment")), call.given.get("securityId"))

    def authenticate(self, call: Call) -> Account | None:
        """`access-token: <token>`, which says whose it is."""
        return self._sessions.of_token(call.header("access-token"))


_LOG_NAMES = {"correlationId": "tag", "transactionType": "transaction_type", "orderId": "order_id"}


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise bad_input("The request body is not JSON.") from None
    if not isinstance(value, dict):
        raise bad_input("The request body is not an object.")
    return value
