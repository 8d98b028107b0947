"""What a broker consists of. Each package under `brokers/` has one such value, `PARTS`, and the registry lists them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from brokers.connections import ConnectionPool
from brokers.instrument_tokens import InstrumentTokens
from brokers.limits import BrokerLimits
from brokers.turns import Turns
from brokers.urls import BrokerUrls
from trading.accounts import Credentials, Environment
from trading.orders import BrokerOrder
from trading.ports.broker import BrokerLogin, InstrumentMaster, LiveBroker, SimulatedBroker
from trading.ports.clock import Clock

Made = TypeVar("Made", covariant=True)


class MakesBroker(Protocol[Made]):
    """The adapter's class. Raises ValueError when `urls.api_url` contradicts the environment of the type."""

    def __call__(
        self,
        *,
        account_id: str,
        credentials: Credentials,
        urls: BrokerUrls,
        tokens: InstrumentTokens,
        timeout_seconds: float,
        clock: Clock,
        connections: ConnectionPool,
        turns: Turns,
    ) -> Made: ...


class MakesLogin(Protocol):
    def __call__(
        self, *, urls: BrokerUrls, environment: Environment, timeout_seconds: float, clock: Clock, connections: ConnectionPool
    ) -> BrokerLogin: ...


class MakesMaster(Protocol):
    def __call__(self, *, urls: BrokerUrls, timeout_seconds: float, connections: ConnectionPool) -> InstrumentMaster: ...


@dataclass(frozen=True, slots=True)
class Postbacks:
    """Messages a broker posts to our address when an order changes: whose they claim to be, and whether that is true.

    `read(body, api_secret)` raises BrokerRefused for a wrong signature. A broker that signs nothing has its messages taken as
    hints all the same: the book is read, nothing in them is believed, and since anybody may send them, only so many are taken.
    """

    claimed_user_id: Callable[[bytes], str]
    read: Callable[[bytes, str], BrokerOrder]
    are_signed: bool


@dataclass(frozen=True, slots=True)
class BrokerParts:
    """`postbacks` None: this broker posts nothing."""

    live: MakesBroker[LiveBroker]
    simulated: MakesBroker[SimulatedBroker]
    login: MakesLogin
    master: MakesMaster
    limits: BrokerLimits
    postbacks: Postbacks | None = None
