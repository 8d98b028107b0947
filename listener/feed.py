"""One broker's market feed: chosen account, connection, subscriptions, and every tick into the intake.

Ends only by cancellation. A dead socket is connected again, the first time at once, then ever more slowly; a dead token or a
refusal moves the feed to the next account. After each connect everything is subscribed anew, and the price the broker then sends
for each symbol is compared with its stops like any other.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from listener.accounts import FeedAccounts
from listener.backoff import Backoff
from listener.complaints import Complaints
from listener.intake import Intake
from listener.market import Market
from listener.supervision import together
from listener.wanted import Wanted
from runtime.accounts import AccountNotFound
from storage.repositories.stops import FeedAccount
from trading.accounts import BrokerName
from trading.instruments import InstrumentId
from trading.ports.broker import (
    Broker,
    BrokerRefused,
    BrokerUnavailable,
    SessionExpired,
    TickStream,
    UnreadableAnswer,
)
from trading.ports.clock import Clock
from trading.ports.metrics import Metrics
from trading.ports.sealing import SealBroken

# While the market is open not even a heartbeat for this long means that the connection is dead, whatever TCP says (seconds).
SILENCE_SECONDS = 5.0
SILENCE_CLOSED_SECONDS = 60.0
CHECK_SECONDS = 0.25
ACCOUNT_CHECK_SECONDS = 1.0
NO_ACCOUNT_SECONDS = 0.5
# Symbols no list knew, or the connection could not carry, are tried again this often.
RESUBSCRIBE_SECONDS = 5.0
SUBSCRIBE_AT_ONCE = 500
# A connection that held this long was a good one: the next failure is a first failure again.
HELD_SECONDS = 10.0
_log = structlog.get_logger()


class FeedSilent(Exception):
    """Connected, and nothing comes."""


class AccountLeft(Exception):
    """The account of this connection is no longer the one to use."""


@dataclass(slots=True)
class Connection:
    """The feed as it is now."""

    account_id: str
    connected_at: datetime
    began_at: float
    stream: TickStream
    subscribed: set[InstrumentId]

    @property
    def has_spoken(self) -> bool:
        """Being connected proves nothing: at least one byte has come."""
        return self.stream.last_heard_at > self.began_at


@dataclass(frozen=True, slots=True)
class FeedParts:
    accounts: FeedAccounts
    intake: Intake
    wanted: Wanted
    market: Market


class Feed:
    def __init__(
        self, broker: BrokerName, parts: FeedParts, *, clock: Clock, metrics: Metrics, complaints: Complaints, backoff: Backoff
    ) -> None:
        self.name = broker
        self._accounts = parts.accounts
        self._intake = parts.intake
        self._wanted = parts.wanted
        self._market = parts.market
        self._clock = clock
        self._metrics = metrics
        self._complaints = complaints
        self._backoff = backoff
        self.connection: Connection | None = None
        # The adapter used last: quotes go through it while the socket is down.
        self.broker: Broker | None = None
        self.trouble = "not connected yet"
        self.down_since: float | None = clock.monotonic()
        # It is down because nothing came, which took a while to notice.
        self.fell_silent = False

    @property
    def silent_seconds(self) -> float | None:
        """Since the last byte; None while not connected."""
        return self._clock.monotonic() - self.connection.stream.last_heard_at if self.connection else None

    @property
    def is_healthy(self) -> bool:
        return self.down_since is None and (self.silent_seconds or 0.0) <= SILENCE_SECONDS

    async def run(self) -> None:
        while True:
            await self._accounts.refresh()
            account = self._accounts.best()
            if account is None:
                self._down("no account is logged in")
                self._complaints.about("feed_waits_for_an_account", broker=self.name.value)
                await asyncio.sleep(NO_ACCOUNT_SECONDS)
                continue
            self._complaints.over("feed_waits_for_an_account")
            await self._use(account)

    async def _use(self, account: FeedAccount) -> None:
        """One connection, from its opening to its end."""
        began_at = self._clock.monotonic()
        try:
            self.broker = await self._accounts.open(account)
            async with self.broker.ticks() as stream:
                await self._follow(stream, account)
        except AccountLeft as left:
            self._down(str(left))
            return
        except (SessionExpired, BrokerRefused, AccountNotFound, SealBroken) as error:
            self._accounts.note_refusal(account)
            self._down(f"{type(error).__name__}: {error}")
            _log.warning("feed_account_refused", broker=self.name.value, account_id=account.account_id, error=self.trouble)
            return
        except FeedSilent as silent:
            self.fell_silent = True
            self._accounts.note_failure(account)
            self._down(str(silent))
            _log.error("feed_silent", broker=self.name.value, account_id=account.account_id, why=self.trouble)
        except (BrokerUnavailable, UnreadableAnswer, SQLAlchemyError, OSError, TimeoutError) as error:
            self._accounts.note_failure(account)
            self._down(f"{type(error).__name__}: {error}")
            self._complaints.about("feed_connection_lost", broker=self.name.value, error=self.trouble)
        finally:
            self.connection = None
        if self._clock.monotonic() - began_at >= HELD_SECONDS:
            self._backoff.reset()
        await asyncio.sleep(self._backoff.next_seconds())

    async def _follow(self, stream: TickStream, account: FeedAccount) -> None:
        self._metrics.count("feed_reconnects")
        self.connection = Connection(account.account_id, self._clock.now(), self._clock.monotonic(), stream, set())
        _log.info("feed_connected", broker=self.name.value, account_id=account.account_id)
        await together(self._read(stream, account), self._keep_subscribed(self.connection), self._mind(self.connection, account))

    async def _read(self, stream: TickStream, account: FeedAccount) -> None:
        heard = False
        async for ticks in stream:
            if not heard:
                heard = True
                self._accounts.note_success(account)
                self._complaints.over("feed_connection_lost")
            if self._intake.take(ticks):
                # Orders first: whoever publishes the crossings goes before the next frame.
                await asyncio.sleep(0)
        raise BrokerUnavailable("the feed ended")

    async def _keep_subscribed(self, connection: Connection) -> None:
        """Exactly the wanted instruments, as far as the broker knows them."""
        while True:
            version = self._wanted.version
            wanted = self._wanted.of(self.name)
            await self._unsubscribe(connection, connection.subscribed - set(wanted))
            missing = [instrument for instrument in wanted if instrument not in connection.subscribed]
            for start in range(0, len(missing), SUBSCRIBE_AT_ONCE):
                await self._subscribe(connection, missing[start : start + SUBSCRIBE_AT_ONCE])
            self._metrics.gauge("symbols_subscribed", len(connection.subscribed))
            with suppress(TimeoutError):
                async with asyncio.timeout(RESUBSCRIBE_SECONDS):
                    await self._wanted.newer_than(version)

    async def _subscribe(self, connection: Connection, instruments: Sequence[InstrumentId]) -> None:
        listed = [instrument for instrument in instruments if self._market.is_listed(self.name, instrument)]
        if len(listed) < len(instruments):
            unlisted = [str(instrument) for instrument in instruments if instrument not in listed]
            self._complaints.about("symbols_not_in_the_broker_list", symbols=unlisted[:10], count=len(unlisted))
        for instrument in listed:
            if (rules := self._market.find(instrument)) is not None:
                self._intake.beliefs.learn(rules)
        if not listed:
            return
        try:
            await connection.stream.subscribe(listed)
        except BrokerRefused as refused:
            self._complaints.about("symbols_not_carried", count=len(listed), error=str(refused))
            return
        connection.subscribed.update(listed)

    async def _unsubscribe(self, connection: Connection, instruments: set[InstrumentId]) -> None:
        if not instruments:
            return
        await connection.stream.unsubscribe(instruments)
        connection.subscribed -= instruments
        # Another broker's feed may carry it still, and what is known of its prices is shared.
        self._intake.forget([instrument for instrument in instruments if not self._wanted.anywhere(instrument)])

    async def _mind(self, connection: Connection, account: FeedAccount) -> None:
        """Ends the connection when it is silent, or when another account is to be used."""
        checked_at = self._clock.monotonic()
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            now = self._clock.monotonic()
            silent = now - connection.stream.last_heard_at
            self._metrics.gauge("feed_age_seconds", silent)
            if silent > (SILENCE_SECONDS if self._market.is_open() else SILENCE_CLOSED_SECONDS):
                raise FeedSilent(f"nothing was heard for {silent:.0f} s")
            if connection.has_spoken and silent <= SILENCE_SECONDS:
                self._up(account)
            if now - checked_at >= ACCOUNT_CHECK_SECONDS:
                checked_at = now
                if await self._accounts.should_leave(account):
                    raise AccountLeft("its account is no longer the one to use")

    def _up(self, account: FeedAccount) -> None:
        if self.down_since is not None:
            self._accounts.note_success(account)
            self._complaints.over("feed_connection_lost")
        self.down_since, self.fell_silent, self.trouble = None, False, ""

    def _down(self, trouble: str) -> None:
        self.trouble = trouble
        if self.down_since is None:
            self.down_since = self._clock.monotonic()
