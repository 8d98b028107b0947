"""Stops that have followed the price, written down: what a stop has reached must survive every process that knows of it.

A stop holds from the moment its row says so, so a crossing of one whose row is behind waits, for some milliseconds, until it is
not: the desks' claim would refuse it. Ticks that come meanwhile only make one statement write more.
"""

import asyncio
from collections.abc import Callable, Sequence

from redis.asyncio import Redis
from sqlalchemy.exc import SQLAlchemyError

from cache.connection import CacheUnavailable
from cache.rebuild import refresh
from execution.trailing import Rise, raise_stops
from listener.complaints import Complaints
from listener.triggers import Crossing, Triggers
from storage.database import Database
from trading.ports.clock import Clock
from trading.ports.metrics import Metrics
from trading.runs import ExitReason

# In one statement: a millisecond or two of work, and no run is held for longer.
AT_ONCE = 100
# Between two writings, so that a rising market does not make one for every tick; and never shorter than this many times as long
# as the last one took.
PAUSE_SECONDS = 0.1
REST_FACTOR = 2
# While a crossing waits for it.
HURRY_SECONDS = 0.01
# How often what the apps see is brought up to date.
VIEWS_SECONDS = 1.0


class Raising:
    """`tell` is handed crossings that the desks may act on; it must not wait."""

    def __init__(
        self,
        database: Database,
        redis: Redis,
        triggers: Triggers,
        *,
        tell: Callable[[Sequence[Crossing]], None],
        clock: Clock,
        metrics: Metrics,
        complaints: Complaints,
    ) -> None:
        self._database = database
        self._redis = redis
        self._triggers = triggers
        self._tell = tell
        self._clock = clock
        self._metrics = metrics
        self._complaints = complaints
        self._held: set[str] = set()
        self._stale_views: set[str] = set()
        self._views_at = 0.0
        self._risen = asyncio.Event()
        self._hurry = asyncio.Event()

    def wake(self) -> None:
        """Some stop has followed the price."""
        self._risen.set()

    def pass_on(self, crossings: Sequence[Crossing]) -> None:
        """Tell of these at once, but for those whose stop is not written down yet: they follow it."""
        ready = []
        for crossing in crossings:
            if crossing.reason is ExitReason.STOP_LOSS and self._triggers.is_unwritten(crossing.stop.run_id):
                self._held.add(crossing.stop.run_id)
                self._hurry.set()
            else:
                ready.append(crossing)
        if ready:
            self._tell(ready)

    async def run(self) -> None:
        """Writes for ever."""
        while True:
            await self._risen.wait()
            self._risen.clear()
            began_at = self._clock.monotonic()
            try:
                await self.write()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                self._complaints.about("stops_cannot_be_raised", error=type(error).__name__)
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                self._complaints.over("stops_cannot_be_raised")
            if not self._held:
                await self._show()
            if self._triggers.has_unwritten or self._stale_views:
                self._risen.set()
            await self._rest(self._clock.monotonic() - began_at)

    async def write(self) -> None:
        """Write down what has risen, and pass on the crossings that waited for it."""
        stops = self._triggers.unwritten()
        for start in range(0, len(stops), AT_ONCE):
            rises = [Rise(stop.run_id, stop.price, stop.highest or stop.price) for stop in stops[start : start + AT_ONCE]]
            async with self._database.transaction() as session:
                raised = await raise_stops(session, rises)
            for standing in raised.standing:
                self._triggers.written(standing.run_id, price=standing.stop, version=standing.version)
                self._stale_views.add(standing.strategy_id)
            for run_id in raised.over:
                self._triggers.is_over(run_id)
            self._metrics.count("stops_raised", len(raised.standing))
        self._release()

    def _release(self) -> None:
        ready = [run_id for run_id in self._held if not self._triggers.is_unwritten(run_id)]
        self._held.difference_update(ready)
        fired = self._triggers.fired()
        crossings = [fired[run_id] for run_id in ready if run_id in fired]
        if crossings:
            self._tell(crossings)

    async def _rest(self, took: float) -> None:
        """Ticks get the processor in between; a crossing that waits ends the rest."""
        await asyncio.sleep(HURRY_SECONDS)
        self._hurry.clear()
        if self._held:
            return
        try:
            async with asyncio.timeout(max(PAUSE_SECONDS, REST_FACTOR * took)):
                await self._hurry.wait()
        except TimeoutError:
            return

    async def _show(self) -> None:
        """What the apps see of those runs; when it fails, the next rise brings it up to date."""
        now = self._clock.monotonic()
        if not self._stale_views or now < self._views_at:
            return
        batch, self._stale_views = sorted(self._stale_views), set()
        self._views_at = now + VIEWS_SECONDS
        try:
            await refresh(self._database, self._redis, batch)
        except (CacheUnavailable, SQLAlchemyError, OSError, TimeoutError) as error:
            self._complaints.about("views_cannot_be_written", error=type(error).__name__)
