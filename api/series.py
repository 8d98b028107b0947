"""Minutes that were measured, as series for charts: counts per step, percentiles from the buckets of all processes together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from api.schemas.system import Point, Series, SeriesName
from runtime.metrics import LATENCY_BUCKETS
from storage.repositories import measurements
from storage.repositories.measurements import Measured


@dataclass(frozen=True, slots=True)
class Source:
    """Where a series comes from; of the lines of that metric, those with one of these values of `label`."""

    metric: str
    is_latency: bool = False
    label: str = ""
    values: frozenset[str] = frozenset()
    # Instead of `values`: everything but these.
    but: frozenset[str] = frozenset()

    def takes(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.label, "")
        return (not self.values or value in self.values) and value not in self.but


MOST_POINTS = 1_500
_SERVER_ERRORS = frozenset(str(status) for status in range(500, 600))
SOURCES: Mapping[SeriesName, Source] = {
    SeriesName.ORDERS: Source("orders_sent"),
    SeriesName.ORDERS_REFUSED: Source("orders_sent", label="outcome", values=frozenset({"refused"})),
    SeriesName.ORDERS_IN_DOUBT: Source("orders_sent", label="outcome", values=frozenset({"unknown"})),
    SeriesName.ORDER_LATENESS: Source("order_lateness_seconds", is_latency=True),
    SeriesName.STOP_LATENCY: Source("stop_latency_seconds", is_latency=True),
    SeriesName.BROKER_CALLS: Source("broker_calls"),
    SeriesName.BROKER_ERRORS: Source("broker_calls", label="outcome", but=frozenset({"ok", "not_sent"})),
    SeriesName.BROKER_LATENCY: Source("broker_call_seconds", is_latency=True),
    SeriesName.REQUESTS: Source("http_requests"),
    SeriesName.REQUEST_ERRORS: Source("http_requests", label="status", values=_SERVER_ERRORS),
    SeriesName.REQUEST_LATENCY: Source("http_request_seconds", is_latency=True),
    SeriesName.TICKS: Source("ticks"),
    SeriesName.TICKS_DROPPED: Source("ticks_dropped"),
    SeriesName.RUNS_ENDED: Source("runs_ended"),
}


@dataclass(frozen=True, slots=True)
class Span:
    """Whole steps, from the first to before the last."""

    from_at: datetime
    to_at: datetime
    step: timedelta

    def index(self, at: datetime) -> int:
        return int((at - self.from_at) // self.step)

    @property
    def starts(self) -> list[datetime]:
        return [self.from_at + number * self.step for number in range(int((self.to_at - self.from_at) / self.step))]


async def read(session: AsyncSession, names: Sequence[SeriesName], span: Span) -> list[Series]:
    """In the order asked for. Each metric is read once."""
    rows: dict[str, Sequence[Measured]] = {}
    for metric in dict.fromkeys(SOURCES[name].metric for name in names):
        rows[metric] = await measurements.read(session, metric, from_at=span.from_at, to_at=span.to_at)
    return [of(name, rows[SOURCES[name].metric], span) for name in names]


def of(name: SeriesName, rows: Sequence[Measured], span: Span, *, only: Mapping[str, str] | None = None) -> Series:
    """`only`: lines with these labels."""
    source = SOURCES[name]
    lines: list[list[Any]] = [[] for _ in span.starts]
    for row in rows:
        wanted = [line for line in row.value if source.takes(line[0]) and (only or {}).items() <= line[0].items()]
        lines[span.index(row.minute)] += wanted
    point = _latency if source.is_latency else _count
    points = [point(at, found) for at, found in zip(span.starts, lines, strict=True)]
    return Series(name=name, unit="seconds" if source.is_latency else "count", points=points)


def _count(at: datetime, lines: Sequence[Any]) -> Point:
    return Point(at=at, value=sum(line[1] for line in lines))


def _latency(at: datetime, lines: Sequence[Any]) -> Point:
    buckets = [sum(counts) for counts in zip(*(line[3] for line in lines), strict=True)]
    shown = {f"p{share}": percentile(buckets, share / 100) for share in (50, 95, 99)}
    return Point(at=at, count=sum(buckets), **shown)


def percentile(buckets: Sequence[int], share: float) -> float | None:
    """Seconds, evenly spread inside a bucket; beyond the last one its bound, which is then too small. None: no measurement."""
    rank = sum(buckets) * share
    if not rank:
        return None
    below, lower = 0, 0.0
    for count, upper in zip(buckets, LATENCY_BUCKETS, strict=False):
        if below + count >= rank and count:
            return round(lower + (upper - lower) * (rank - below) / count, 6)
        below, lower = below + count, upper
    return LATENCY_BUCKETS[-1]


def span_of(now: datetime, *, minutes: int, step_minutes: int | None) -> Span:
    """The last whole steps, ending with the newest whole minute; a step so fine that a chart would drown is made coarser."""
    finest = -(-minutes // MOST_POINTS)
    step = max(finest, step_minutes or -(-minutes // 120))
    to_at = now.replace(second=0, microsecond=0)
    steps = max(1, minutes // step)
    return Span(to_at - timedelta(minutes=steps * step), to_at, timedelta(minutes=step))
