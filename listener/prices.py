"""The newest prices on their way to Redis: in batches, after the stops were checked.

A price there lives five seconds. While a feed is healthy, the price of a quiet symbol is the newest there is, and it is written
again before it vanishes, with the instant it was really seen. Once the feed is not healthy prices are left to vanish.
"""

import asyncio
from collections.abc import Sequence

from cache.connection import CacheUnavailable
from cache.prices import HotPrice, PriceCache
from listener.complaints import Complaints
from listener.feed import Feed
from listener.intake import Intake
from listener.leadership import Leadership
from trading.instruments import InstrumentId
from trading.ports.broker import Tick
from trading.ports.clock import Clock
from trading.ports.metrics import Metrics

WRITE_SECONDS = 0.1
REFRESH_SECONDS = 2.0
# A batch takes some milliseconds to encode; ticks are taken between two of them.
BATCH = 250


class HotPrices:
    def __init__(
        self,
        cache: PriceCache,
        intake: Intake,
        feeds: Sequence[Feed],
        *,
        leadership: Leadership,
        clock: Clock,
        metrics: Metrics,
        complaints: Complaints,
    ) -> None:
        self._cache = cache
        self._intake = intake
        self._feeds = feeds
        self._leadership = leadership
        self._clock = clock
        self._metrics = metrics
        self._complaints = complaints
        self._refreshed_at = clock.monotonic()

    async def write_for_ever(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            if self._leadership.is_active:
                await self.write()

    async def write(self) -> None:
        """What is new since the last time, and, now and then, everything that is still true."""
        await self._remove(self._intake.take_forgotten())
        ticks = self._intake.take_changed()
        if self._clock.monotonic() - self._refreshed_at >= REFRESH_SECONDS:
            self._refreshed_at = self._clock.monotonic()
            ticks = {**self._still_true(), **ticks}
        await self._write(list(ticks.values()))

    def _still_true(self) -> dict[InstrumentId, Tick]:
        """Prices received over a connection that is still alive: had they changed, it would have said so."""
        true: dict[InstrumentId, Tick] = {}
        for feed in self._feeds:
            connection = feed.connection
            if connection is None or not feed.is_healthy:
                continue
            for instrument in connection.subscribed:
                tick = self._intake.newest.get(instrument)
                if tick is not None and tick.received_at >= connection.connected_at:
                    true[instrument] = tick
        return true

    async def _remove(self, forgotten: set[InstrumentId]) -> None:
        """A run that begins again within seconds must not be measured against the price of before."""
        try:
            await self._cache.remove(forgotten)
        except CacheUnavailable:
            # They vanish by themselves.
            self._metrics.count("redis_failures")

    async def _write(self, ticks: Sequence[Tick]) -> None:
        for start in range(0, len(ticks), BATCH):
            some = ticks[start : start + BATCH]
            try:
                await self._cache.write({tick.instrument: HotPrice(tick.last_price, tick.received_at) for tick in some})
            except CacheUnavailable as error:
                self._complaints.about("prices_cannot_be_written", error=str(error))
                self._metrics.count("redis_failures")
                return
        if ticks:
            self._complaints.over("prices_cannot_be_written")
