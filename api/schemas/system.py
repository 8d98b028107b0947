"""The installation as an Admin sees it: processes, feeds, queues, stores, budgets, clocks; and series for charts."""

from collections.abc import Mapping, Sequence
from enum import Enum

from pydantic import Field

from api.schemas.common import Answer, Instant
from api.schemas.operation import Readiness
from trading.accounts import BrokerName


class ProcessState(Answer):
    kind: str = Field(description="api, worker, listener or listener-standby", examples=["worker"])
    name: str
    version: str | None
    beat_age_ms: float = Field(description="Since its last sign of life; it gives one every second")
    facts: Mapping[str, str | int | float | bool | None] = Field(description="What it says of itself")


class FeedState(Answer):
    is_connected: bool
    is_healthy: bool
    trouble: str
    age_ms: float | None = Field(description="Since the last byte of the feed that waits longest")
    account_id: str | None = Field(description="The account whose session the feed uses")
    symbols: int
    symbols_stale: int
    stops: int = Field(description="Stops that are watched")
    signals_waiting: int


class TaskQueueState(Answer):
    name: str
    kind: str = Field(description="workflow or activity")
    backlog: int = Field(description="Tasks that wait for a worker, by Temporal's estimate")
    backlog_age_seconds: float
    pollers: Sequence[str] = Field(description="Workers that ask for work")


class RedisAnswer(Answer):
    version: str
    answer_ms: float
    used_memory_bytes: int
    clients: int
    evicted_keys: int


class PostgresAnswer(Answer):
    version: str
    answer_ms: float
    size_bytes: int
    connections: int
    most_connections: int
    longest_transaction_seconds: float
    waiting_for_locks: int


class LeaseState(Answer):
    by_owner: Mapping[str, int] = Field(description="Accounts by the worker that runs their desk")
    expired: int = Field(description="Leases whose owner has not renewed them")


class RateUsed(Answer):
    seconds: int = Field(description="The window")
    limit: int
    used: int


class AccountBudget(Answer):
    account_id: str
    broker: BrokerName
    rates: Sequence[RateUsed]


class ClockState(Answer):
    """Of the process that answers; each worker tells of its own in its facts."""

    proven_error_ms: float = Field(description="The largest error that is proven; 0: no clock contradicts ours")
    is_wrong: bool
    against: str


class System(Answer):
    """Null: that part does not answer. Unknown is not zero."""

    version: str
    readiness: Readiness
    users: int
    strategies: int
    open_runs: int
    orders_in_doubt: int
    open_alerts: int
    temporal_ui_url: str
    processes: Sequence[ProcessState] | None = Field(description="Null while Redis is away")
    feed: FeedState | None = Field(description="Null while no listener is active, or Redis is away")
    leases: LeaseState | None
    task_queues: Sequence[TaskQueueState] | None
    redis: RedisAnswer | None
    postgres: PostgresAnswer | None
    budgets: Sequence[AccountBudget] | None = Field(description="The busiest accounts first")
    clock: ClockState


class SeriesName(str, Enum):
    ORDERS = "orders"
    ORDERS_REFUSED = "orders_refused"
    ORDERS_IN_DOUBT = "orders_in_doubt"
    ORDER_LATENESS = "order_lateness"
    STOP_LATENCY = "stop_latency"
    BROKER_CALLS = "broker_calls"
    BROKER_ERRORS = "broker_errors"
    BROKER_LATENCY = "broker_latency"
    REQUESTS = "requests"
    REQUEST_ERRORS = "request_errors"
    REQUEST_LATENCY = "request_latency"
    TICKS = "ticks"
    TICKS_DROPPED = "ticks_dropped"
    RUNS_ENDED = "runs_ended"


class Point(Answer):
    """`value` of a count is the sum over the step. Of a latency it is null, and the percentiles are seconds (null: none)."""

    at: Instant = Field(description="The beginning of the step")
    value: float | None = None
    count: int | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class Series(Answer):
    name: SeriesName
    unit: str = Field(examples=["count", "seconds"])
    points: Sequence[Point]


class MetricSeries(Answer):
    from_at: Instant
    to_at: Instant
    step_seconds: int
    series: Sequence[Series]
