"""Crossed stops on their way out: to the desks by the channel, to the workflows by signal, and again while nobody has acted.

A channel message can be lost, so Postgres is asked: while the run's exit still stands there as armed, the crossing is told again.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from cache.channels import StopCrossed, publish_stops
from cache.connection import CacheUnavailable
from listener.complaints import Complaints
from listener.leadership import Leadership
from listener.signals import Signals
from listener.triggers import Crossing
from trading.lead import HERD
from trading.ports.clock import Clock
from trading.ports.metrics import Metrics

REPEAT_SECONDS = 3.0
# When a herd is crossed at once, the processors are the desks' for a while (seconds): what can wait, waits.
DESKS_FIRST_EACH, DESKS_FIRST_AT_MOST = 0.001, 1.0


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where crossings go."""

    redis: Redis
    signals: Signals
    leadership: Leadership


class Crossings:
    def __init__(self, outlets: Outlets, *, clock: Clock, metrics: Metrics, complaints: Complaints) -> None:
        self._redis = outlets.redis
        self._signals = outlets.signals
        self._leadership = outlets.leadership
        self._clock = clock
        self._metrics = metrics
        self._complaints = complaints
        self._pending: list[Crossing] = []
        self._told_at: dict[str, float] = {}
        self._desks_first_until = 0.0
        self._wake = asyncio.Event()

    def add(self, crossings: Sequence[Crossing]) -> None:
        """Tell of these as soon as possible. Never waits."""
        self._pending += crossings
        self._wake.set()

    def repeat(self, unanswered: Iterable[Crossing]) -> None:
        """Tell again of those whose exit is still armed, unless they were told a moment ago."""
        before = self._clock.monotonic() - REPEAT_SECONDS
        self.add([crossing for crossing in unanswered if self._told_at.get(crossing.trigger_id, before) <= before])

    def keep_only(self, trigger_ids: set[str]) -> None:
        """Forget the stops whose run is over or has a newer one."""
        self._told_at = {trigger: at for trigger, at in self._told_at.items() if trigger in trigger_ids}

    async def let_desks_go_first(self) -> None:
        """Wait while the orders of a herd that was just told of may be leaving."""
        await asyncio.sleep(max(0.0, self._desks_first_until - self._clock.monotonic()))

    async def run(self) -> None:
        """Tells for ever. While it is not sure that this is the active listener, crossings wait."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self._leadership.is_active:
                await asyncio.sleep(0.05)
                self._wake.set()
                continue
            batch, self._pending = self._pending, []
            if batch:
                await self._tell(batch)

    async def _tell(self, batch: Sequence[Crossing]) -> None:
        now = self._clock.monotonic()
        self._told_at.update((crossing.trigger_id, now) for crossing in batch)
        if len(batch) >= HERD:
            self._desks_first_until = now + min(DESKS_FIRST_EACH * len(batch), DESKS_FIRST_AT_MOST)
        # Before the channel is tried: if that hangs, the signals do not wait for it.
        self._signals.add(batch, head_start=True)
        try:
            desks = await publish_stops(self._redis, [_message(crossing) for crossing in batch])
        except CacheUnavailable as error:
            self._complaints.about("stops_channel_unavailable", error=str(error))
            self._metrics.count("redis_failures")
            desks = 0
        else:
            self._complaints.over("stops_channel_unavailable")
        if desks == 0:
            self._signals.hurry(batch)


def _message(crossing: Crossing) -> StopCrossed:
    stop = crossing.stop
    return StopCrossed(
        stop.run_id, stop.account_id, stop.version, crossing.price, crossing.at, crossing.trigger_id, crossing.reason
    )
