"""From an account's id to an adapter that can trade with it: reads the row, unseals its secrets, opens the broker."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from brokers.answers import StatedTime
from brokers.limits import BrokerLimits
from runtime.crypto import binding
from runtime.instruments import InstrumentDirectory
from storage.database import Database
from storage.models import BrokerAccount
from storage.repositories import accounts as repository
from trading.accounts import BrokerName, Credentials
from trading.ports.broker import Broker, BrokerLogin, BrokerRefused, InstrumentMaster, SessionExpired
from trading.ports.sealing import Sealer


class Adapters(Protocol):
    """Opens brokers; `runtime/brokers.py` implements it over the real adapters, tests over fakes."""

    def names(self) -> tuple[BrokerName, ...]:
        """Brokers that are supported; the other calls raise BrokerNotSupported for any other."""

    def limits(self, broker: BrokerName) -> BrokerLimits: ...

    def login(self, broker: BrokerName) -> BrokerLogin: ...

    def master(self, broker: BrokerName) -> InstrumentMaster: ...

    def open(self, broker: BrokerName, *, account_id: str, credentials: Credentials) -> Broker: ...

    def stated_times(self) -> Iterable[StatedTime]:
        """The newest times that brokers' servers have stated; grows by itself."""

    async def close(self) -> None: ...


class BrokerNotSupported(LookupError):
    """This installation has no adapter for that broker."""


class AccountNotFound(LookupError):
    """No such account, or its owner has removed it."""


# The identity of an account that has never been logged in is not known yet, and must not clash with another such one.
PENDING = "pending:"


def known_identity(account: BrokerAccount) -> str:
    """Who the user is at the broker; empty before the first login, where the broker does not ask for it."""
    return "" if account.broker_user_id.startswith(PENDING) else account.broker_user_id


@dataclass(frozen=True, slots=True)
class _Opened:
    session_version: int
    broker: Broker


class BrokerAccounts:
    """Keeps one adapter per account and session: asked again after a new login, it opens a new one."""

    def __init__(self, *, database: Database, sealer: Sealer, instruments: InstrumentDirectory, adapters: Adapters) -> None:
        self.instruments = instruments
        self._database = database
        self._sealer = sealer
        self._adapters = adapters
        self._opened: dict[str, _Opened] = {}

    @property
    def sealer(self) -> Sealer:
        return self._sealer

    async def open(self, account_id: str) -> Broker:
        """The account's broker with its newest session.

        Raises AccountNotFound, SessionExpired when the account was never logged in, BrokerRefused when it was connected in
        another environment (live or simulated) than the settings name today, SealBroken when its secrets cannot be opened.
        """
        async with self._database.transaction() as session:
            account = await repository.load(session, account_id)
        if account is None or account.deleted_at is not None:
            self._opened.pop(account_id, None)
            raise AccountNotFound(f"no broker account {account_id}")
        return self.broker_of(account)

    def broker_of(self, account: BrokerAccount) -> Broker:
        """As `open`, for a row that was just read."""
        opened = self._opened.get(account.id)
        if opened is None or opened.session_version != account.session_version:
            opened = _Opened(account.session_version, self._build(account))
            self._opened[account.id] = opened
        return opened.broker

    def _build(self, account: BrokerAccount) -> Broker:
        if account.sealed_access_token is None:
            raise SessionExpired("this account has not been logged in yet")
        broker = self._adapters.open(account.broker, account_id=account.id, credentials=self.credentials(account))
        if broker.environment is not account.environment:
            was, now = account.environment.value, broker.environment.value
            raise BrokerRefused(f"this account was connected as {was}, but {account.broker.value} is {now} in this installation")
        return broker

    def credentials(self, account: BrokerAccount) -> Credentials:
        """The account's secrets. Raises SealBroken."""
        return Credentials(
            api_key=self._open_field(account, "api_key", account.sealed_api_key),
            api_secret=self._open_field(account, "api_secret", account.sealed_api_secret),
            access_token=self._open_token(account, "access_token", account.sealed_access_token),
            broker_user_id=known_identity(account),
            refresh_token=self._open_token(account, "refresh_token", account.sealed_refresh_token),
            feed_token=self._open_token(account, "feed_token", account.sealed_feed_token),
        )

    def _open_token(self, account: BrokerAccount, field: str, sealed: str | None) -> str | None:
        return None if sealed is None else self._open_field(account, field, sealed)

    def seal(self, account: BrokerAccount, credentials: Credentials) -> None:
        """Put the secrets into the row, bound to this user and account. A missing token empties the stored one; who the user is
        at the broker is no secret, and set apart."""
        account.sealed_api_key = self._seal_field(account, "api_key", credentials.api_key)
        account.sealed_api_secret = self._seal_field(account, "api_secret", credentials.api_secret)
        account.sealed_access_token = self._seal_token(account, "access_token", credentials.access_token)
        account.sealed_refresh_token = self._seal_token(account, "refresh_token", credentials.refresh_token)
        account.sealed_feed_token = self._seal_token(account, "feed_token", credentials.feed_token)

    def _seal_token(self, account: BrokerAccount, field: str, token: str | None) -> str | None:
        return None if token is None else self._seal_field(account, field, token)

    def _seal_field(self, account: BrokerAccount, field: str, secret: str) -> str:
        return self._sealer.seal(secret, bound_to=binding(account.user_id, f"{account.id}/{field}"))

    def _open_field(self, account: BrokerAccount, field: str, sealed: str) -> str:
        return self._sealer.open(sealed, bound_to=binding(account.user_id, f"{account.id}/{field}"))

    def supported(self) -> tuple[BrokerName, ...]:
        return self._adapters.names()

    def limits(self, broker: BrokerName) -> BrokerLimits:
        return self._adapters.limits(broker)

    def login(self, broker: BrokerName) -> BrokerLogin:
        return self._adapters.login(broker)

    def master(self, broker: BrokerName) -> InstrumentMaster:
        return self._adapters.master(broker)

    def masters(self) -> tuple[InstrumentMaster, ...]:
        """The instrument list of every broker that has one."""
        return tuple(self._adapters.master(name) for name in self.with_servers())

    def with_servers(self) -> tuple[BrokerName, ...]:
        """Supported brokers with instrument lists and feeds of their own: all but paper accounts."""
        return tuple(name for name in self._adapters.names() if name.has_servers)

    def stated_times(self) -> Iterable[StatedTime]:
        """The newest times that brokers' servers have stated; grows by itself."""
        return self._adapters.stated_times()

    async def close(self) -> None:
        self._opened.clear()
        await self._adapters.close()
