"""What the adapters of all brokers are: one account at one broker, live or simulated by type."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, NotRequired, TypedDict, Unpack

from brokers.connections import ConnectionPool
from brokers.environments import check_environment
from brokers.instrument_tokens import InstrumentTokens
from brokers.transport import Transport
from brokers.turns import LocalTurns, Turns
from brokers.urls import BrokerUrls
from trading.accounts import BrokerName, Credentials, Environment
from trading.ports.broker import SessionExpired
from trading.ports.clock import Clock

NOT_LOGGED_IN = "there is no access token: the user has to log in"
# Several missed heartbeats, at every broker.
SILENCE_SECONDS = 10.0


class Account(TypedDict):
    """What every adapter is made of. `turns` left out: nobody else calls for this account."""

    account_id: str
    credentials: Credentials
    urls: BrokerUrls
    tokens: InstrumentTokens
    timeout_seconds: float
    clock: Clock
    connections: ConnectionPool
    turns: NotRequired[Turns]
    silence_seconds: NotRequired[float]


class AccountAdapter(ABC):
    """Everything but the environment, which is the subclass: `Live` or `Simulated` comes before the broker's own class."""

    name: BrokerName
    own_domains: ClassVar[Sequence[str]]

    def __init__(self, **account: Unpack[Account]) -> None:
        """Raises ValueError when a URL and the environment contradict each other."""
        self.account_id = account["account_id"]
        self._credentials = account["credentials"]
        self._urls = account["urls"]
        self._tokens = account["tokens"]
        self._timeout_seconds = account["timeout_seconds"]
        self._clock = account["clock"]
        self._connections = account["connections"]
        self._turns = account.get("turns") or LocalTurns(self._clock)
        self._silence_seconds = account.get("silence_seconds", SILENCE_SECONDS)
        self._transport = self._transport_to(self._urls.api_url)

    def _transport_to(self, url: str) -> Transport:
        check_environment(self.environment, api_url=url, own_domains=self.own_domains)
        return Transport(
            base_url=url,
            connections=self._connections,
            timeout_seconds=self._timeout_seconds,
            headers=self._session_headers(),
            account_id=self.account_id,
        )

    @property
    @abstractmethod
    def environment(self) -> Environment: ...

    @abstractmethod
    def _session_headers(self) -> Mapping[str, str]:
        """Headers of every call."""

    @property
    def _broker_account(self) -> str:
        """The account as its broker counts it: two of our rows may be the same one."""
        return f"{self.name.value}:{self._credentials.broker_user_id or self.account_id}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(account_id={self.account_id!r})"

    def _check_logged_in(self) -> None:
        if not self._credentials.access_token:
            raise SessionExpired(NOT_LOGGED_IN)

    async def warm(self, connections: int) -> int:
        return await self._transport.warm(connections)


class Live:
    """Real money."""

    @property
    def environment(self) -> Literal[Environment.LIVE]:
        return Environment.LIVE


class Simulated:
    """Any server that speaks the protocol and is not the broker's own."""

    @property
    def environment(self) -> Literal[Environment.SIMULATED]:
        return Environment.SIMULATED
