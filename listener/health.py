"""How the listener shows how it is: a heartbeat every second, gauges, and an alarm while stops are not watched as they should."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis
from sqlalchemy.exc import SQLAlchemyError

from cache.connection import CacheUnavailable
from cache.heartbeats import LISTENER, Fact, beat
from execution.alarms import Alarm, clear_alarm, raise_alarm
from listener.complaints import Complaints
from listener.feed import Feed
from listener.intake import Intake
from listener.market import Market
from listener.signals import Signals
from listener.wanted import Wanted
from runtime.version import VERSION
from storage.database import Database
from trading.ports.clock import Clock
from trading.ports.metrics import Metrics

BEAT_SECONDS = 1.0
# A feed that is down this long while somebody needs it is an alarm; silence has lasted as long when it is noticed.
ALARM_SECONDS = 5.0
# A watched symbol without a price for this long is stale: quiet, or wrongly subscribed.
STALE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Observed:
    """What health looks at."""

    feeds: Sequence[Feed]
    intake: Intake
    signals: Signals
    wanted: Wanted
    market: Market


class Health:
    def __init__(
        self,
        database: Database,
        redis: Redis,
        observed: Observed,
        *,
        name: str,
        clock: Clock,
        metrics: Metrics,
        complaints: Complaints,
    ) -> None:
        self._database = database
        self._redis = redis
        self._observed = observed
        self._name = name
        self._clock = clock
        self._metrics = metrics
        self._complaints = complaints
        # Keys of the alarms as we left them; unknown at the start, when an earlier process may have left one up.
        self._alarms: dict[str, bool] = {}

    async def beat_for_ever(self) -> None:
        """The active listener's heartbeat."""
        due = self._clock.monotonic()
        while True:
            late = max(0.0, self._clock.monotonic() - due)
            self._measure()
            await send_beat(self._redis, LISTENER, self._facts(late), complaints=self._complaints)
            due = self._clock.monotonic() + BEAT_SECONDS
            await asyncio.sleep(BEAT_SECONDS)

    def _facts(self, late: float) -> dict[str, Fact]:
        """`lag_ms`: how late this very task was woken; `feed_age_ms`: since the last byte of the feed that waits longest."""
        observed = self._observed
        ages = [feed.silent_seconds for feed in observed.feeds if feed.silent_seconds is not None]
        return {
            "name": self._name,
            "version": VERSION,
            "lag_ms": round(late * 1000, 1),
            "connected": any(feed.connection is not None for feed in observed.feeds),
            "healthy": all(feed.is_healthy for feed in observed.feeds if observed.wanted.of(feed.name)),
            "account_id": next((feed.connection.account_id for feed in observed.feeds if feed.connection), None),
            "trouble": next((feed.trouble for feed in observed.feeds if feed.trouble and observed.wanted.of(feed.name)), ""),
            "feed_age_ms": round(max(ages) * 1000) if ages else None,
            "symbols": sum(len(feed.connection.subscribed) for feed in observed.feeds if feed.connection),
            "symbols_stale": self._stale(),
            "stops": observed.intake.triggers.count,
            "signals_waiting": observed.signals.waiting,
        }

    def _measure(self) -> None:
        self._metrics.gauge("symbols_stale", self._stale())
        self._metrics.gauge("signals_waiting", self._observed.signals.waiting)
        self._metrics.gauge("stops_armed", self._observed.intake.triggers.count)

    def _stale(self) -> int:
        """Watched instruments whose last tick is old, or that never had one."""
        if not self._observed.market.is_open():
            return 0
        now, newest = self._clock.now(), self._observed.intake.newest
        ticks = [newest.get(instrument) for instrument in self._observed.intake.triggers.watched_instruments()]
        return sum(tick is None or (now - tick.received_at).total_seconds() > STALE_SECONDS for tick in ticks)

    async def alarm_for_ever(self) -> None:
        while True:
            for feed in self._observed.feeds:
                await self._look(feed)
            await asyncio.sleep(BEAT_SECONDS)

    async def _look(self, feed: Feed) -> None:
        key = f"feed:{feed.name.value}"
        wrong = self._is_wrong(feed)
        if self._alarms.get(key) is wrong:
            return
        message = f"No market data from {feed.name.value}: {feed.trouble}. Stops are watched by slower means until it is back."
        kind = "feed_silent" if feed.fell_silent else "feed_down"
        alarm = Alarm(key=key, kind=kind, message=message)
        try:
            async with self._database.transaction() as session:
                await (raise_alarm(session, alarm) if wrong else clear_alarm(session, key))
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            self._complaints.about("feed_alarm_cannot_be_written", error=type(error).__name__)
            return
        self._complaints.over("feed_alarm_cannot_be_written")
        self._alarms[key] = wrong

    def _is_wrong(self, feed: Feed) -> bool:
        """Down for a while, during the session, with runs that need it."""
        if feed.down_since is None or not self._observed.wanted.of(feed.name) or not self._observed.market.is_open():
            return False
        return feed.fell_silent or self._clock.monotonic() - feed.down_since > ALARM_SECONDS


async def send_beat(redis: Redis, name: str, facts: dict[str, Fact], *, complaints: Complaints) -> None:
    try:
        await beat(redis, name, facts)
    except CacheUnavailable as error:
        complaints.about("heartbeat_cannot_be_written", error=str(error))
    else:
        complaints.over("heartbeat_cannot_be_written")
