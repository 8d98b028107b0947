"""One request on its way through a handler."""

from dataclasses import dataclass, field

from aiohttp import web

from simulator.exchange.accounts import Account
from simulator.exchange.orders import Origin
from simulator.faults import Fault


class NotLoggedIn(Exception):
    """A handler needs an account, and the request named none."""


@dataclass(slots=True)
class Call:
    """A dialect adds what its handlers read. `fields` are what faults and the exchange's log know of the request, by the names
    `tag`, `tradingsymbol`, `transaction_type`, `quantity`, `price`, `order_id`, ... whatever the broker calls them."""

    request: web.Request
    body: bytes
    fields: dict[str, str]
    origin: Origin
    behaviour: Fault | None = None
    known_account: Account | None = None
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def account(self) -> Account:
        """The authenticated account."""
        if self.known_account is None:
            raise NotLoggedIn
        return self.known_account

    def path(self, name: str) -> str:
        """A part of the path."""
        return self.request.match_info[name]
