"""What the server and the tests ask of a dialect."""

from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.exchange.market import Market
from simulator.faults import FaultBook
from simulator.log import ExchangeLog
from simulator.registry import Registry
from simulator.settings import Settings


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    """Credentials of a logged-in account, as a client of one dialect needs them. `key` names the account in the exchange's log,
    its faults and its control API, whatever the dialect calls it."""

    key: str
    api_key: str
    api_secret: str
    access_token: str
    user_id: str
    refresh_token: str = ""
    feed_token: str = ""

    @property
    def authorization(self) -> str:
        """The value of Kite's Authorization header."""
        return f"token {self.api_key}:{self.access_token}"


class Dialect(Protocol):
    """One broker's protocol over the one exchange. `name` is the broker's, as the platform spells it."""

    @property
    def name(self) -> str: ...

    def application(self) -> web.Application:
        """REST and sockets, on one port."""

    async def beat(self) -> None:
        """Keep idle sockets alive until cancelled."""

    async def close(self) -> None:
        """Close sockets and give up delayed work."""

    def forget(self) -> None:
        """The trading day has ended: drop what was remembered of its orders."""

    def connections(self, api_key: str | None = None) -> int:
        """How many sockets are open, of one account or of all."""

    def send_odd_price(self, market: Market, price: int) -> int:
        """Tell the market's subscribers any price, without touching the market; answers how many sockets were told."""

    def urls(self, address: str) -> dict[str, str]:
        """`api_url`, `ws_url`, `login_url` and whatever else its clients need, for this `host:port`."""

    def log_in(self, account: Account) -> SimulatedAccount:
        """The account's living session in this dialect, or a new one."""

    def login_answer(self, account: Account) -> dict[str, str]:
        """What a person would bring from a login now: `code`, or `pin` and `one_time_code`."""


class MakesDialect(Protocol):
    """A dialect's class."""

    def __call__(
        self, *, exchange: Exchange, registry: Registry, faults: FaultBook, log: ExchangeLog, settings: Settings
    ) -> Dialect: ...
