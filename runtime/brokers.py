"""Wires the broker adapters: URLs from the settings, one connection pool, and the environment those URLs mean."""

from collections.abc import Iterable
from dataclasses import fields
from typing import TypeVar

from brokers.answers import StatedTime
from brokers.calls import Observer
from brokers.connections import ConnectionPool
from brokers.instrument_tokens import InstrumentTokens
from brokers.limits import BrokerLimits
from brokers.parts import Postbacks
from brokers.registry import BROKERS, BrokerRegistry, UnsupportedBroker
from brokers.urls import BrokerUrls
from cache.connection import connect
from cache.turns import RedisTurns
from runtime.accounts import Adapters, BrokerAccounts, BrokerNotSupported
from runtime.crypto import KeyRing
from runtime.instruments import InstrumentDirectory
from runtime.paper.adapters import PaperParts, WithPaper
from runtime.settings import Settings, is_live_url
from runtime.turns import SharedTurns
from storage.database import Database
from trading.accounts import BrokerName, Credentials, Environment
from trading.ports.broker import Broker, BrokerLogin, InstrumentMaster
from trading.ports.clock import Clock

T = TypeVar("T")


def broker_urls(settings: Settings) -> dict[BrokerName, BrokerUrls]:
    """The brokers this installation can reach, and where."""
    return {name: _urls_of(settings, name.value) for name in settings.broker_api_urls if name in BROKERS}


def _urls_of(settings: Settings, broker: str) -> BrokerUrls:
    """The settings that begin with the broker's name; a kind of URL it has no setting for stays empty."""
    kinds = [url.name for url in fields(BrokerUrls)]
    return BrokerUrls(**{kind: str(getattr(settings, f"{broker}_{kind}", "")) for kind in kinds})


class RegistryAdapters:
    """Implements `runtime.accounts.Adapters` over the real adapters."""

    def __init__(self, settings: Settings, clock: Clock, *, on_call: Observer | None = None) -> None:
        self._urls = broker_urls(settings)
        self._connections = ConnectionPool(on_call=on_call)
        self._turns = SharedTurns(RedisTurns(connect(settings.redis_url)), clock)
        self._registry = BrokerRegistry(
            urls=self._urls,
            clock=clock,
            connections=self._connections,
            timeout_seconds=settings.broker_timeout_seconds,
            turns=self._turns,
        )

    def names(self) -> tuple[BrokerName, ...]:
        return tuple(self._urls)

    def tokens(self, broker: BrokerName) -> InstrumentTokens:
        return self._registry.tokens(broker)

    def limits(self, broker: BrokerName) -> BrokerLimits:
        return _supported(self._registry.limits(broker))

    def login(self, broker: BrokerName) -> BrokerLogin:
        return _supported(self._registry.login(broker, environment=self._environment(broker)))

    def master(self, broker: BrokerName) -> InstrumentMaster:
        return _supported(self._registry.master(broker))

    def open(self, broker: BrokerName, *, account_id: str, credentials: Credentials) -> Broker:
        environment = self._environment(broker)
        return _supported(self._registry.broker(broker, account_id=account_id, credentials=credentials, environment=environment))

    def _environment(self, broker: BrokerName) -> Environment:
        urls = self._urls.get(broker)
        if urls is None:
            raise BrokerNotSupported(UnsupportedBroker(broker).message)
        return Environment.LIVE if is_live_url(urls.api_url) else Environment.SIMULATED

    def stated_times(self) -> Iterable[StatedTime]:
        return self._connections.stated

    async def close(self) -> None:
        await self._connections.close()
        await self._turns.close()


def postbacks_of(broker: BrokerName) -> Postbacks | None:
    """How to read what that broker posts to us; None: it posts nothing."""
    parts = BROKERS.get(broker)
    return parts.postbacks if parts else None


def _supported(found: T | UnsupportedBroker) -> T:
    if isinstance(found, UnsupportedBroker):
        raise BrokerNotSupported(found.message)
    return found


def open_accounts(
    settings: Settings, database: Database, clock: Clock, *, on_call: Observer | None = None, adapters: Adapters | None = None
) -> BrokerAccounts:
    """Everything a process needs to trade with accounts; `.instruments` is its instrument directory, still empty.

    `on_call` is told of every call to a broker; tests bring `adapters` of their own. Raises ValueError when AES_MASTER_KEYS is
    missing or malformed.
    """
    sealer = KeyRing.parse(settings.aes_master_keys.get_secret_value())
    if adapters is None:
        registered = RegistryAdapters(settings, clock, on_call=on_call)
        with_servers: Adapters = registered
        instruments = InstrumentDirectory(database, tokens_of=registered.tokens)
    else:
        with_servers, instruments = adapters, InstrumentDirectory(database)

    async def open_broker(account_id: str) -> Broker:
        return await accounts.open(account_id)

    paper = PaperParts(settings, database, instruments, open_broker=open_broker, lenders=with_servers.names(), clock=clock)
    accounts = BrokerAccounts(database=database, sealer=sealer, instruments=instruments, adapters=WithPaper(with_servers, paper))
    return accounts
