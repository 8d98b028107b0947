"""From a broker's name to its adapter, login, instrument list and limits: the one place that knows which brokers there are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, overload

from brokers.angel_one.parts import PARTS as ANGEL_ONE
from brokers.connections import ConnectionPool
from brokers.dhan.parts import PARTS as DHAN
from brokers.fyers.parts import PARTS as FYERS
from brokers.instrument_tokens import InstrumentTokens
from brokers.limits import BrokerLimits
from brokers.parts import BrokerParts
from brokers.turns import Turns
from brokers.urls import BrokerUrls
from brokers.zerodha.parts import PARTS as ZERODHA
from trading.accounts import BrokerName, Credentials, Environment
from trading.ports.broker import BrokerLogin, InstrumentMaster, LiveBroker, SimulatedBroker
from trading.ports.clock import Clock

# An instrument list is some megabytes long.
MASTER_TIMEOUT_SECONDS = 60.0

BROKERS: Mapping[BrokerName, BrokerParts] = {
    BrokerName.ZERODHA: ZERODHA,
    BrokerName.DHAN: DHAN,
    BrokerName.ANGEL_ONE: ANGEL_ONE,
    BrokerName.FYERS: FYERS,
}


@dataclass(frozen=True, slots=True)
class UnsupportedBroker:
    """This installation cannot trade with that broker: no adapter, or no URLs."""

    name: BrokerName

    @property
    def message(self) -> str:
        return f"{self.name.value} is not supported yet"


@dataclass(slots=True)
class BrokerRegistry:
    """`urls` says which brokers are configured. All accounts of a broker share its instrument tokens: call
    `tokens(name).replace(...)` after each load of its list. `turns`: those of all accounts."""

    urls: Mapping[BrokerName, BrokerUrls]
    clock: Clock
    connections: ConnectionPool
    timeout_seconds: float
    turns: Turns
    _tokens: dict[BrokerName, InstrumentTokens] = field(default_factory=dict, init=False)

    def tokens(self, name: BrokerName) -> InstrumentTokens:
        return self._tokens.setdefault(name, InstrumentTokens())

    def limits(self, name: BrokerName) -> BrokerLimits | UnsupportedBroker:
        parts = BROKERS.get(name)
        return parts.limits if parts else UnsupportedBroker(name)

    @overload
    def broker(
        self, name: BrokerName, *, account_id: str, credentials: Credentials, environment: Literal[Environment.LIVE]
    ) -> LiveBroker | UnsupportedBroker: ...

    @overload
    def broker(
        self, name: BrokerName, *, account_id: str, credentials: Credentials, environment: Literal[Environment.SIMULATED]
    ) -> SimulatedBroker | UnsupportedBroker: ...

    @overload
    def broker(
        self, name: BrokerName, *, account_id: str, credentials: Credentials, environment: Environment
    ) -> LiveBroker | SimulatedBroker | UnsupportedBroker: ...

    def broker(
        self, name: BrokerName, *, account_id: str, credentials: Credentials, environment: Environment
    ) -> LiveBroker | SimulatedBroker | UnsupportedBroker:
        """An account's adapter. Raises ValueError when the configured URL contradicts the environment."""
        parts, urls = BROKERS.get(name), self.urls.get(name)
        if parts is None or urls is None:
            return UnsupportedBroker(name)
        kind = parts.live if environment is Environment.LIVE else parts.simulated
        return kind(
            account_id=account_id,
            credentials=credentials,
            urls=urls,
            tokens=self.tokens(name),
            timeout_seconds=self.timeout_seconds,
            clock=self.clock,
            connections=self.connections,
            turns=self.turns,
        )

    def login(self, name: BrokerName, *, environment: Environment) -> BrokerLogin | UnsupportedBroker:
        parts, urls = BROKERS.get(name), self.urls.get(name)
        if parts is None or urls is None:
            return UnsupportedBroker(name)
        return parts.login(
            urls=urls,
            environment=environment,
            timeout_seconds=self.timeout_seconds,
            clock=self.clock,
            connections=self.connections,
        )

    def master(self, name: BrokerName) -> InstrumentMaster | UnsupportedBroker:
        parts, urls = BROKERS.get(name), self.urls.get(name)
        if parts is None or urls is None:
            return UnsupportedBroker(name)
        return parts.master(urls=urls, timeout_seconds=MASTER_TIMEOUT_SECONDS, connections=self.connections)
