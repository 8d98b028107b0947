"""The listener put together: standby until it has the lock, then every part of it, supervised, until it loses it."""

import asyncio
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis
from temporalio.client import Client

from cache.connection import CacheUnavailable
from cache.heartbeats import STANDBY_LISTENER
from cache.prices import PriceCache
from cache.rebuild import is_complete, rebuild
from listener.accounts import FeedAccounts, OpensAccounts
from listener.backoff import Backoff
from listener.beliefs import Beliefs
from listener.carrier import Carrier
from listener.complaints import Complaints
from listener.crossings import Crossings, Outlets
from listener.feed import Feed, FeedParts
from listener.health import BEAT_SECONDS, Health, Observed, send_beat
from listener.intake import Intake
from listener.leadership import Leadership, Superseded
from listener.market import Market
from listener.polling import Polling
from listener.prices import HotPrices
from listener.quotes import Quotes
from listener.raising import Raising
from listener.signals import Signals
from listener.supervision import supervised
from listener.triggers import Triggers
from listener.wanted import Wanted
from listener.watch import Followers, Watch
from runtime.version import VERSION
from storage.database import Database
from trading.accounts import BrokerName
from trading.ports.clock import Clock
from trading.ports.metrics import Metrics

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the listener works with. `brokers`: those whose feeds it carries."""

    name: str
    database: Database
    redis: Redis
    temporal: Client
    accounts: OpensAccounts
    brokers: tuple[BrokerName, ...]
    market: Market
    clock: Clock
    metrics: Metrics


class Listener:
    """`run()` ends only by cancellation. Each time it becomes the active one it begins with an empty memory."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._complaints = Complaints(surroundings.clock)
        self.leadership = Leadership(surroundings.database, self._complaints)

    async def run(self) -> None:
        try:
            while True:
                await self._stand_by()
                try:
                    await self._be_active()
                except* Superseded:
                    _log.warning("listener_superseded")
        finally:
            await self.leadership.release()

    async def _stand_by(self) -> None:
        beating = asyncio.create_task(self._beat_as_standby())
        try:
            await self.leadership.acquire()
        finally:
            beating.cancel()

    async def _beat_as_standby(self) -> None:
        while True:
            facts = {"name": self._around.name, "version": VERSION}
            await send_beat(self._around.redis, STANDBY_LISTENER, {**facts}, complaints=self._complaints)
            await asyncio.sleep(BEAT_SECONDS)

    async def _be_active(self) -> None:
        around, complaints = self._around, self._complaints
        clock, metrics = around.clock, around.metrics
        signals = Signals(around.temporal, clock=clock, metrics=metrics, complaints=complaints)
        outlets = Outlets(around.redis, signals, self.leadership)
        crossings = Crossings(outlets, clock=clock, metrics=metrics, complaints=complaints)
        triggers = Triggers()
        raising = Raising(
            around.database, around.redis, triggers, tell=crossings.add, clock=clock, metrics=metrics, complaints=complaints
        )
        intake = Intake(
            triggers=triggers,
            beliefs=Beliefs(),
            on_crossed=raising.pass_on,
            on_risen=raising.wake,
            clock=clock,
            metrics=metrics,
        )
        wanted = Wanted()
        feeds = [self._feed(broker, intake, wanted) for broker in around.brokers]
        watch = Watch(
            around.database,
            around.redis,
            Followers(intake, crossings, signals, wanted),
            market=around.market,
            paper_carrier=Carrier(feeds).name,
            clock=clock,
            metrics=metrics,
            complaints=complaints,
        )
        prices = HotPrices(
            PriceCache(around.redis),
            intake,
            feeds,
            leadership=self.leadership,
            clock=clock,
            metrics=metrics,
            complaints=complaints,
        )
        polling = Polling(feeds, intake, wanted, quotes=Quotes(clock), clock=clock, complaints=complaints)
        observed = Observed(feeds, intake, signals, wanted, around.market)
        health = Health(
            around.database,
            around.redis,
            observed,
            name=around.name,
            clock=clock,
            metrics=metrics,
            complaints=complaints,
        )
        async with asyncio.TaskGroup() as parts:
            parts.create_task(self.leadership.keep())
            for name, work in {
                "compare stops": watch.compare_for_ever,
                "follow armed stops": watch.follow_armed,
                "follow runs": watch.follow_runs,
                "tell of crossings": crossings.run,
                "raise stops": raising.run,
                "send signals": signals.run,
                "write prices": prices.write_for_ever,
                "replace feeds that are down": polling.replace_feeds_that_are_down,
                "confirm odd ticks": polling.confirm_odd_ticks,
                "heartbeat": health.beat_for_ever,
                "alarms": health.alarm_for_ever,
                "keep the cache complete": self._keep_cache_complete,
                **{f"feed of {feed.name.value}": feed.run for feed in feeds},
            }.items():
                parts.create_task(supervised(name, work))

    def _feed(self, broker: BrokerName, intake: Intake, wanted: Wanted) -> Feed:
        around = self._around
        accounts = FeedAccounts(around.database, around.accounts, broker, clock=around.clock, complaints=self._complaints)
        parts = FeedParts(accounts, intake, wanted, around.market)
        return Feed(broker, parts, clock=around.clock, metrics=around.metrics, complaints=self._complaints, backoff=Backoff())

    async def _keep_cache_complete(self) -> None:
        """A Redis that was emptied or restarted is filled again."""
        while True:
            try:
                if self.leadership.is_active and not await is_complete(self._around.redis):
                    written = await rebuild(self._around.database, self._around.redis)
                    _log.info("cache_rebuilt", strategies=written)
            except CacheUnavailable as error:
                self._complaints.about("cache_unavailable", error=str(error))
            else:
                self._complaints.over("cache_unavailable")
            await asyncio.sleep(BEAT_SECONDS)
