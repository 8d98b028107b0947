"""Measurements for Prometheus: one table of names, so that a misspelt metric fails in tests instead of vanishing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise, zip_longest

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

PREFIX = "algo"

# Seconds. Stops are judged in milliseconds, recoveries in tens of seconds.
LATENCY_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Kind(str, Enum):
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    kind: Kind
    description: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """A counter or a gauge (`value`), or a histogram: how many, their sum, and how many in each bucket (the last: beyond all)."""

    value: float
    total: float = 0.0
    buckets: tuple[int, ...] = ()

    def __add__(self, other: "Reading") -> "Reading":
        return Reading(self.value + other.value, self.total + other.total, _added(self.buckets, other.buckets, 1))

    def __sub__(self, other: "Reading") -> "Reading":
        return Reading(self.value - other.value, self.total - other.total, _added(self.buckets, other.buckets, -1))


def _added(ours: tuple[int, ...], theirs: tuple[int, ...], sign: int) -> tuple[int, ...]:
    """Bucket by bucket; one that was never used has none."""
    return tuple(a + sign * b for a, b in zip_longest(ours, theirs, fillvalue=0))


TABLE: Mapping[str, Metric] = {
    # Orders
    "orders_sent": Metric(
        Kind.COUNTER,
        "Order writes by their outcome, and whether the desk, an activity or the sweep fired them",
        ("leg", "outcome", "fired_by"),
    ),
    "order_changes_sent": Metric(Kind.COUNTER, "Modifications and cancellations by their outcome", ("kind", "outcome")),
    "order_lateness_seconds": Metric(Kind.HISTOGRAM, "Wanted instant to order sent", ("leg",)),
    "stop_latency_seconds": Metric(Kind.HISTOGRAM, "Tick received to exit order sent"),
    "cover_latency_seconds": Metric(Kind.HISTOGRAM, "First fill to the armed stop that covers it"),
    "orders_in_doubt": Metric(Kind.GAUGE, "Attempts whose outcome is not known yet"),
    "doubt_seconds": Metric(Kind.HISTOGRAM, "How long an attempt stayed in doubt"),
    "desk_or_signal_first": Metric(Kind.COUNTER, "Who had the order sent: the desk or the workflow's activity", ("who", "leg")),
    "claims_lost": Metric(Kind.COUNTER, "Claims another sender had won already"),
    "reprices": Metric(Kind.COUNTER, "Exit orders moved to a new price"),
    "desks": Metric(Kind.GAUGE, "Accounts this worker holds the lease of"),
    "runs_ended": Metric(Kind.COUNTER, "Runs by the reason they ended", ("reason",)),
    "budget_waits": Metric(Kind.COUNTER, "Writes that waited for the account's rate budget", ("leg",)),
    "broker_calls": Metric(Kind.COUNTER, "Calls to a broker by outcome", ("broker", "call", "outcome")),
    "broker_call_seconds": Metric(Kind.HISTOGRAM, "Duration of calls to a broker", ("broker", "call")),
    # Market data
    "ticks": Metric(Kind.COUNTER, "Prices received"),
    "ticks_dropped": Metric(Kind.COUNTER, "Prices not believed, by reason", ("reason",)),
    "crossings": Metric(Kind.COUNTER, "Stops crossed"),
    "stops_armed": Metric(Kind.GAUGE, "Stops the listener watches"),
    "symbols_subscribed": Metric(Kind.GAUGE, "Symbols the feed is subscribed to"),
    "symbols_stale": Metric(Kind.GAUGE, "Watched symbols without a recent price"),
    "feed_age_seconds": Metric(Kind.GAUGE, "Seconds since the last byte of the feed"),
    "feed_reconnects": Metric(Kind.COUNTER, "Times the feed was connected anew"),
    "signals_sent": Metric(Kind.COUNTER, "Signals to workflows by outcome", ("outcome",)),
    "signals_waiting": Metric(Kind.GAUGE, "Signals not delivered yet"),
    # API
    "http_requests": Metric(Kind.COUNTER, "Requests by route and status", ("method", "route", "status")),
    "http_request_seconds": Metric(Kind.HISTOGRAM, "Duration of requests", ("method", "route")),
    "streams_open": Metric(Kind.GAUGE, "Live streams connected"),
    "logins": Metric(Kind.COUNTER, "Logins by outcome", ("outcome",)),
    # Operation
    "instruments": Metric(Kind.GAUGE, "Instruments in memory"),
    "redis_failures": Metric(Kind.COUNTER, "Redis calls that failed and were done without"),
    "alerts_open": Metric(Kind.GAUGE, "Alerts not cleared", ("severity",)),
}


class PrometheusMetrics:
    """Implements `trading.ports.metrics.Metrics`. Each instance has a registry of its own: one per process, one per test."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._gauges: dict[str, Gauge] = {}
        for name, metric in TABLE.items():
            self._register(name, metric)

    def _register(self, name: str, metric: Metric) -> None:
        full = f"{PREFIX}_{name}"
        if metric.kind is Kind.COUNTER:
            self._counters[name] = Counter(full, metric.description, metric.labels, registry=self.registry)
        elif metric.kind is Kind.HISTOGRAM:
            self._histograms[name] = Histogram(
                full, metric.description, metric.labels, registry=self.registry, buckets=LATENCY_BUCKETS
            )
        else:
            self._gauges[name] = Gauge(full, metric.description, metric.labels, registry=self.registry)

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Raises KeyError for a name the table has not, ValueError for labels it has not."""
        counter = self._counters[name]
        (counter.labels(**labels) if labels or TABLE[name].labels else counter).inc(amount)

    def observe(self, name: str, value: float, **labels: str) -> None:
        histogram = self._histograms[name]
        (histogram.labels(**labels) if labels or TABLE[name].labels else histogram).observe(value)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        gauge = self._gauges[name]
        (gauge.labels(**labels) if labels or TABLE[name].labels else gauge).set(value)

    def readings(self, name: str) -> Iterator[tuple[Mapping[str, str], Reading]]:
        """That metric as it stands, by its labels. Raises KeyError for a name the table has not."""
        kind = TABLE[name].kind
        if kind is Kind.HISTOGRAM:
            yield from _histogram(self._histograms[name])
            return
        for family in (self._counters[name] if kind is Kind.COUNTER else self._gauges[name]).collect():
            for sample in family.samples:
                if not sample.name.endswith("_created"):
                    yield sample.labels, Reading(sample.value)

    def render(self) -> bytes:
        """The text a Prometheus server scrapes."""
        return generate_latest(self.registry)

    def serve(self, port: int) -> None:
        """Answer scrapes on loopback from a thread of its own; port 0 is off."""
        if port:
            start_http_server(port, addr="127.0.0.1", registry=self.registry)


def _histogram(histogram: Histogram) -> Iterator[tuple[Mapping[str, str], Reading]]:
    """Prometheus counts upwards from bucket to bucket; a reading counts each by itself."""
    found: dict[tuple[tuple[str, str], ...], dict[str, list[float]]] = {}
    for family in histogram.collect():
        for sample in family.samples:
            labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
            part = sample.name.rpartition("_")[2]
            found.setdefault(labels, {}).setdefault(part, []).append(sample.value)
    for labels, parts in found.items():
        upwards = [0.0, *parts["bucket"]]
        buckets = tuple(int(upper - lower) for lower, upper in pairwise(upwards))
        yield dict(labels), Reading(parts["count"][0], parts["sum"][0], buckets)
