"""From a broker's name to its adapter, login, instrument list and limits: the one place that knows which brokers there are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, overload

from brokers.instrument_tokens import InstrumentTokens
from brokers.limits import BrokerLimits
from brokers.transport import ConnectionPool
from brokers.zerodha.adapter import LiveZerodhaBroker, SimulatedZerodhaBroker
from brokers.zerodha.instruments import ZerodhaInstruments
from brokers.zerodha.limits import LIMITS as ZERODHA_LIMITS
from brokers.zerodha.login import ZerodhaLogin
from trading.accounts import BrokerName, Credentials, Environment
from trading.ports.broker import BrokerLogin, InstrumentMaster, LiveBroker, SimulatedBroker
from trading.ports.clock import Clock

# The instrument list is some megabytes long.
MASTER_TIMEOUT_SECONDS = 60.0

_LIMITS: Mapping[BrokerName, BrokerLimits] = {BrokerName.ZERODHA: ZERODHA_LIMITS}


@dataclass(frozen=True, slots=True)
class BrokerUrls:
    api_url: str
    ws_url: str
    login_url: str


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
    `tokens(name).replace(...)` after each load of its list."""

    urls: Mapping[BrokerName, BrokerUrls]
    clock: Clock
    connections: ConnectionPool
    timeout_seconds: float
    _tokens: dict[BrokerName, InstrumentTokens] = field(default_factory=dict, init=False)

    def tokens(self, name: BrokerName) -> InstrumentTokens:
        return self._tokens.setdefault(name, InstrumentTokens())

    def limits(self, name: BrokerName) -> BrokerLimits | UnsupportedBroker:
        return _LIMITS.get(name) or UnsupportedBroker(name)

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
        urls = self.urls.get(name)
        if urls is None or name is not BrokerName.ZERODHA:
            return UnsupportedBroker(name)
        kind = LiveZerodhaBroker if environment is Environment.LIVE else SimulatedZerodhaBroker
        return kind(
            account_id=account_id,
            credentials=credentials,
            api_url=urls.api_url,
            ws_url=urls.ws_url,
            tokens=self.tokens(name),
            timeout_seconds=self.timeout_seconds,
            clock=self.clock,
            connections=self.connections,
        )

    def login(self, name: BrokerName, *, environment: Environment) -> BrokerLogin | UnsupportedBroker:
        urls = self.urls.get(name)
        if urls is None or name is not BrokerName.ZERODHA:
            return UnsupportedBroker(name)
        return ZerodhaLogin(
            api_url=urls.api_url,
            login_url=urls.login_url,
            environment=environment,
            timeout_seconds=self.timeout_seconds,
            clock=self.clock,
            connections=self.connections,
        )

    def master(self, name: BrokerName) -> InstrumentMaster | UnsupportedBroker:
        urls = self.urls.get(name)
        if urls is None or name is not BrokerName.ZERODHA:
            return UnsupportedBroker(name)
        return ZerodhaInstruments(api_url=urls.api_url, timeout_seconds=MASTER_TIMEOUT_SECONDS, connections=self.connections)
