"""A listener between real parts: Postgres, Redis, the stand-in exchange; only Temporal is played by a fake."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
from redis.asyncio import Redis
from temporalio.client import Client

from cache.channels import StopCrossed, listen_stops
from cache.heartbeats import read_beats
from listener.market import Market
from listener.service import Listener, Surroundings
from runtime.accounts import BrokerAccounts
from runtime.brokers import open_accounts
from runtime.calendar import AlwaysOpen
from runtime.clock import SystemClock
from runtime.instruments import load_master
from runtime.metrics import PrometheusMetrics
from runtime.settings import Settings
from simulator.testing import RunningSimulator
from storage.database import Database
from storage.models import BrokerAccount
from tests.contract.world import credentials_of
from tests.listener.fakes import FakeTemporal
from tests.listener.seeding import Seeded, add_account, add_holding_run, add_user
from tests.waiting import DEADLINE_SECONDS
from trading.accounts import BrokerName

KEY = base64.b64encode(bytes(32)).decode()


@dataclass
class World:
    database: Database
    redis: Redis
    sim: RunningSimulator
    accounts: BrokerAccounts
    user_id: str
    settings: Settings
    brokers: tuple[BrokerName, ...] = (BrokerName.ZERODHA,)
    temporal: FakeTemporal = field(default_factory=FakeTemporal)
    published: list[StopCrossed] = field(default_factory=list)

    async def log_in(
        self, name: str, *, expires_in: timedelta = timedelta(hours=8), broker: BrokerName = BrokerName.ZERODHA
    ) -> str:
        """An account of that name at the exchange, connected and logged in here; its id."""
        theirs = self.sim.account(name, dialect=broker.value)
        account_id = await add_account(
            self.database, self.user_id, broker_user_id=theirs.user_id, expires_in=expires_in, broker=broker
        )
        await self.renew_login(name, account_id)
        return account_id

    async def renew_login(self, name: str, account_id: str) -> None:
        async with self.database.transaction() as session:
            account = await session.get_one(BrokerAccount, account_id)
            theirs = self.sim.account(name, dialect=account.broker.value)
            self.accounts.seal(account, credentials_of(theirs))
            account.session_version += 1
            account.token_expires_at = datetime.now(UTC) + timedelta(hours=8)

    async def hold(self, account_id: str, *, symbol: str = "TCS", stop: str = "3500") -> Seeded:
        return await add_holding_run(self.database, self.user_id, account_id, symbol=symbol, stop=stop)

    async def raw_tick(self, symbol: str, price: str) -> None:
        """A price only subscribers see; the market and its quotes know nothing of it."""
        async with httpx.AsyncClient(trust_env=False) as client:
            url = f"{self.sim.control_url}/control/ticks"
            (await client.post(url, json=[{"symbol": symbol, "price": price}])).raise_for_status()

    @asynccontextmanager
    async def listening(self, name: str = "listener-1", *, redis: Redis | None = None) -> AsyncIterator[Listener]:
        """A listener as its process runs it, for the length of the block."""
        clock = SystemClock()
        surroundings = Surroundings(
            name=name,
            database=self.database,
            redis=redis or self.redis,
            temporal=cast(Client, self.temporal),
            accounts=self.accounts,
            brokers=self.brokers,
            market=Market(self.accounts.instruments, calendar=AlwaysOpen(), clock=clock),
            clock=clock,
            metrics=PrometheusMetrics(),
        )
        listener = Listener(surroundings)
        running = asyncio.create_task(listener.run())
        try:
            yield listener
            assert not running.done(), running
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[list[StopCrossed]]:
        """Hears what is published on `stops`, and does nothing about it."""

        async def hear() -> None:
            async for batch in stops:
                self.published += batch

        async with listen_stops(self.redis) as stops:
            hearing = asyncio.create_task(hear())
            try:
                yield self.published
            finally:
                hearing.cancel()
                with suppress(asyncio.CancelledError):
                    await hearing

    async def subscribed_to(self, *symbols: str) -> None:
        """Waits until the active listener carries exactly that many symbols and each has a price."""
        await self.until_price(*symbols)
        await self.until_beat("symbols", len(symbols))

    async def until_price(self, *symbols: str) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while None in await self.redis.mget([f"price:{symbol}" for symbol in symbols]):
                await asyncio.sleep(0.02)

    async def until_beat(self, fact: str, value: object) -> None:
        """Waits until the active listener's heartbeat says so."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (beat := (await read_beats(self.redis)).get("listener")) is None or beat.data.get(fact) != value:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def make_world(
    database: Database, redis: Redis, sim: RunningSimulator, *, brokers: tuple[BrokerName, ...] = (BrokerName.ZERODHA,)
) -> AsyncIterator[World]:
    urls: dict[str, Any] = {f"{name.value}_{kind}": url for name in brokers for kind, url in sim.urls(name.value).items()}
    settings = Settings(_env_file=None, aes_master_keys=f"k1:{KEY}", **urls)
    clock = SystemClock()
    accounts = open_accounts(settings, database, clock)
    try:
        for master in accounts.masters():
            await load_master(database, master, clock=clock)
        await accounts.instruments.refresh()
        yield World(database, redis, sim, accounts, await add_user(database), settings, brokers)
    finally:
        await accounts.close()
