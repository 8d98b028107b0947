"""The installation as Admins see it. Each part is asked by itself and at the same time: one that hangs hides no other."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

from api.notify import TEMPORAL_AWAY
from api.schemas.system import (
    AccountBudget,
    ClockState,
    FeedState,
    LeaseState,
    PostgresAnswer,
    ProcessState,
    RateUsed,
    RedisAnswer,
    TaskQueueState,
)
from api.services import Services
from brokers.limits import Rate
from cache.connection import CacheUnavailable, answering
from cache.heartbeats import LISTENER, Beat, read_beats
from runtime.accounts import BrokerNotSupported
from storage.repositories import system
from trading.accounts import BrokerName

T = TypeVar("T")

ANSWER_SECONDS = 2.0
MOST_ACCOUNTS = 50
_QUEUES = {
    "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}
_AWAY = (SQLAlchemyError, CacheUnavailable, *TEMPORAL_AWAY)


async def or_none(ask: Callable[[], Awaitable[T]]) -> T | None:
    """None: it does not answer. Unknown is not zero."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await ask()
    except _AWAY:
        return None


async def read_all_beats(services: Services) -> dict[str, Beat]:
    return await read_beats(services.redis)


def processes(services: Services, beats: dict[str, Beat]) -> list[ProcessState]:
    """By kind and name; a process that has not beaten for five seconds is absent."""
    found = []
    for name, beat in sorted(beats.items()):
        kind, _, own = name.partition(":")
        age = max(0.0, (services.clock.now() - beat.at.astimezone(UTC)).total_seconds() * 1000)
        facts = {key: value for key, value in beat.data.items() if key not in ("version", "name")}
        version = beat.data.get("version")
        found.append(
            ProcessState(
                kind=kind,
                name=own or str(beat.data.get("name") or name),
                version=None if version is None else str(version),
                beat_age_ms=round(age, 1),
                facts=facts,
            )
        )
    return found


def feed(beats: dict[str, Beat]) -> FeedState | None:
    """None: no listener is active."""
    beat = beats.get(LISTENER)
    if beat is None:
        return None
    facts = beat.data
    age = facts.get("feed_age_ms")
    account = facts.get("account_id")
    return FeedState(
        is_connected=bool(facts.get("connected")),
        is_healthy=bool(facts.get("healthy")),
        trouble=str(facts.get("trouble") or ""),
        age_ms=float(age) if isinstance(age, int | float) else None,
        account_id=None if account is None else str(account),
        symbols=_count(facts.get("symbols")),
        symbols_stale=_count(facts.get("symbols_stale")),
        stops=_count(facts.get("stops")),
        signals_waiting=_count(facts.get("signals_waiting")),
    )


def _count(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


async def task_queues(services: Services) -> list[TaskQueueState]:
    """What waits for a worker, and who asks for work."""
    return list(await asyncio.gather(*(_task_queue(services, name) for name in _QUEUES)))


async def _task_queue(services: Services, kind: str) -> TaskQueueState:
    request = DescribeTaskQueueRequest(
        namespace=services.settings.temporal_namespace,
        task_queue=TaskQueue(name=services.settings.task_queue),
        task_queue_type=_QUEUES[kind],
        report_stats=True,
    )
    answer = await services.temporal.workflow_service.describe_task_queue(request)
    return TaskQueueState(
        name=services.settings.task_queue,
        kind=kind,
        backlog=answer.stats.approximate_backlog_count,
        backlog_age_seconds=answer.stats.approximate_backlog_age.ToNanoseconds() / 1e9,
        pollers=sorted(poller.identity for poller in answer.pollers),
    )


async def redis_state(services: Services) -> RedisAnswer:
    began = services.clock.monotonic()
    async with answering():
        info = await services.redis.info()
    return RedisAnswer(
        version=str(info.get("redis_version", "")),
        answer_ms=round((services.clock.monotonic() - began) * 1000, 1),
        used_memory_bytes=int(info.get("used_memory", 0)),
        clients=int(info.get("connected_clients", 0)),
        evicted_keys=int(info.get("evicted_keys", 0)),
    )


async def postgres_state(services: Services) -> PostgresAnswer:
    began = services.clock.monotonic()
    async with services.database.transaction() as session:
        state = await system.postgres(session)
    return PostgresAnswer(
        version=state.version,
        answer_ms=round((services.clock.monotonic() - began) * 1000, 1),
        size_bytes=state.size_bytes,
        connections=state.connections,
        most_connections=state.most_connections,
        longest_transaction_seconds=round(state.longest_transaction_seconds, 1),
        waiting_for_locks=state.waiting_for_locks,
    )


async def lease_state(services: Services) -> LeaseState:
    async with services.database.transaction() as session:
        found = await system.leases(session)
    return LeaseState(by_owner=dict(found.by_owner), expired=found.expired)


async def budgets(services: Services) -> list[AccountBudget]:
    """The busiest accounts: what each has used of its broker's rates, by the log of every request that was sent."""
    rates = {broker: _rates(services, broker) for broker in services.accounts.supported()}
    windows = sorted({rate.seconds for found in rates.values() for rate in found})
    async with services.database.transaction() as session:
        used = await system.writes(session, windows=windows, now=services.clock.now(), most=MOST_ACCOUNTS)
    return [
        AccountBudget(
            account_id=one.account_id,
            broker=one.broker,
            rates=[
                RateUsed(seconds=rate.seconds, limit=rate.count, used=one.used[windows.index(rate.seconds)])
                for rate in rates.get(one.broker, ())
            ],
        )
        for one in used
    ]


def _rates(services: Services, broker: BrokerName) -> tuple[Rate, ...]:
    try:
        return services.accounts.limits(broker).order_writes
    except BrokerNotSupported:
        return ()


def clock_state(services: Services) -> ClockState:
    error = services.clock_watch.newest
    return ClockState(
        proven_error_ms=round(error.proven.total_seconds() * 1000, 1), is_wrong=error.is_wrong, against=error.against
    )
