"""What this process measured in each minute, into Postgres: charts need no Prometheus. One row a minute and process."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from runtime.metrics import TABLE, Kind, PrometheusMetrics, Reading
from storage.database import Database
from storage.repositories import measurements
from trading.ports.clock import Clock

_log = structlog.get_logger()

MINUTE = timedelta(minutes=1)
# Which measurements are kept, and by which of their labels; the others are summed over.
KEPT: Mapping[str, tuple[str, ...]] = {
    "orders_sent": ("leg", "outcome"),
    "order_changes_sent": ("outcome",),
    "order_lateness_seconds": ("leg",),
    "stop_latency_seconds": (),
    "cover_latency_seconds": (),
    "doubt_seconds": (),
    "runs_ended": ("reason",),
    "budget_waits": (),
    "broker_calls": ("broker", "outcome"),
    "broker_call_seconds": ("broker",),
    "ticks": (),
    "ticks_dropped": ("reason",),
    "crossings": (),
    "feed_reconnects": (),
    "feed_age_seconds": (),
    "http_requests": ("status",),
    "http_request_seconds": (),
    "redis_failures": (),
}

Labels = tuple[tuple[str, str], ...]
Snapshot = Mapping[str, Mapping[Labels, Reading]]


class Sampler:
    def __init__(self, metrics: PrometheusMetrics, clock: Clock, *, process: str) -> None:
        self._metrics = metrics
        self._clock = clock
        self._process = process
        self._before = snapshot(metrics)

    async def run(self, database: Database) -> None:
        """For ever: right after the end of each minute."""
        while True:
            now = self._clock.now()
            following = now.replace(second=0, microsecond=0) + MINUTE
            await asyncio.sleep((following - now).total_seconds())
            try:
                await self.sample(database, minute=following - MINUTE)
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                _log.info("sample_waits", error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 (supervised loop: measuring must go on whatever one sample met)
                _log.error("sampling_broken", error=repr(error), exc_info=True)

    async def sample(self, database: Database, *, minute: datetime) -> None:
        """Keep what has changed since the last sample that was kept; what could not be kept is in the next one."""
        now = snapshot(self._metrics)
        measured = changes(self._before, now)
        async with database.unhurried() as session:
            await measurements.keep(session, process=self._process, minute=minute, measured=measured)
        self._before = now


def snapshot(metrics: PrometheusMetrics) -> Snapshot:
    """By name and by the labels that are kept."""
    found: dict[str, dict[Labels, Reading]] = {}
    for name, kept in KEPT.items():
        sums: dict[Labels, Reading] = {}
        for labels, reading in metrics.readings(name):
            key = tuple((label, labels[label]) for label in kept)
            sums[key] = sums[key] + reading if key in sums else reading
        found[name] = sums
    return found


def changes(before: Snapshot, now: Snapshot) -> dict[str, Any]:
    """As it is stored: by name a list of `[labels, value]`, or `[labels, count, sum, counts by bucket]`. Zeros are left out."""
    measured: dict[str, Any] = {}
    for name, readings in now.items():
        lines = []
        for labels, reading in readings.items():
            is_level = TABLE[name].kind is Kind.GAUGE
            change = reading if is_level else reading - before[name].get(labels, Reading(0.0))
            if not change.value and not change.total:
                continue
            line: list[Any] = [dict(labels), round(change.value, 6)]
            if TABLE[name].kind is Kind.HISTOGRAM:
                line += [round(change.total, 6), list(change.buckets)]
            lines.append(line)
        if lines:
            measured[name] = lines
    return measured
