"""The watchman: notices parts that are gone when those parts cannot say so themselves.

Runs in every API and worker process; a database lock lets one of them act. What it cannot read proves nothing: an alarm is raised
only by an answer that says so, again and again, for some seconds, and cleared only by one that says the opposite. Postgres itself
is watched elsewhere (`runtime/postgres_watch.py`): without it there is neither a lock nor a row.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from redis.asyncio import Redis
from sqlalchemy import func, select
from temporalio.client import Client
from temporalio.service import RPCError

from cache.connection import CacheUnavailable, answering
from cache.heartbeats import LISTENER, read_beats
from execution.alarm_upkeep import alarm_long_doubts, clear_what_is_over
from execution.alarms import Alarm, clear_alarm, raise_alarm
from execution.leases import uncovered
from runtime.lasting import Lasting
from runtime.rounds import rounds_for_ever
from storage.database import Database
from storage.locks import LISTENER_LOCK, is_held
from storage.models import Run
from trading.ports.clock import Clock
from trading.runs import RunState

_log = structlog.get_logger()

ROUND_SECONDS = 2.0
ANSWER_SECONDS = 3.0
# A watchman that hangs is followed by another after this long; more than a round takes.
SILENCE_SECONDS = 10.0
# How long a part is missed before people are told; a restart takes less.
GONE_SECONDS = 10.0
REDIS_SECONDS = 5.0
# An account that is new needs a moment until a worker takes it.
NEW_SECONDS = 5.0
# Any constant nobody else uses (tests/architecture/test_advisory_locks.py).
_WATCHMAN_LOCK = 7_203_114_570


@dataclass(frozen=True, slots=True)
class Finding:
    """`wrong` is None when nothing could be learnt. The kind is the alarm's key as well: there is one of each."""

    kind: str
    wrong: bool | None
    message: str
    seconds: float = GONE_SECONDS


class Watchman:
    def __init__(self, *, database: Database, redis: Redis, temporal: Client, clock: Clock) -> None:
        self._database = database
        self._redis = redis
        self._temporal = temporal
        self._clock = clock
        self._lasting = Lasting()
        # As this process left them; unknown at the start, when another may have left one up.
        self._up: dict[str, bool] = {}

    async def run(self) -> None:
        """For ever."""
        await rounds_for_ever(
            self._database,
            _WATCHMAN_LOCK,
            self.round,
            name="watchman",
            pause_seconds=ROUND_SECONDS,
            silence_seconds=SILENCE_SECONDS,
            begin=self._forget,
        )

    def _forget(self) -> None:
        """What was seen before another process held the lock proves nothing."""
        self._lasting, self._up = Lasting(), {}

    async def round(self) -> None:
        """One look at every part."""
        redis, temporal = await asyncio.gather(self._redis_finding(), self._temporal_finding())
        for finding in (redis, temporal, await self._worker_finding(), await self._listener_finding()):
            await self._note(finding)
        async with self._database.transaction() as session:
            await alarm_long_doubts(session)
            for key in await clear_what_is_over(session):
                _log.info("alarm_is_over", key=key)

    async def _note(self, finding: Finding) -> None:
        now = self._clock.monotonic()
        wrong = self._lasting.has_lasted(finding.kind, wrong=finding.wrong, seconds=finding.seconds, now=now)
        if wrong is None or self._up.get(finding.kind) is wrong:
            return
        async with self._database.transaction() as session:
            if wrong:
                await raise_alarm(session, Alarm(finding.kind, finding.kind, finding.message))
            else:
                await clear_alarm(session, finding.kind)
        self._up[finding.kind] = wrong

    # --- the parts ----------------------------------------------------------------------------------------------------

    async def _redis_finding(self) -> Finding:
        async def ping() -> None:
            async with answering():
                await self._redis.ping()

        away = await _is_away(ping)
        return Finding("redis_down", away, "Everything goes on, by slower ways", REDIS_SECONDS)

    async def _temporal_finding(self) -> Finding:
        async def ask() -> None:
            if not await self._temporal.service_client.check_health(timeout=timedelta(seconds=ANSWER_SECONDS)):
                raise OSError("it says that it is not serving")

        away = await _is_away(ask)
        return Finding("temporal_down", away, "Nothing new starts; what is armed is sent and followed")

    async def _worker_finding(self) -> Finding:
        async with self._database.transaction() as session:
            accounts = await uncovered(session, grace_seconds=NEW_SECONDS)
        message = (
            f"Open runs or orders without a desk, in accounts: {len(accounts)}. The first of them: {', '.join(accounts[:3])}"
        )
        return Finding("worker_gone", bool(accounts), message)

    async def _listener_finding(self) -> Finding:
        async with self._database.transaction() as session:
            needed = await session.scalar(select(func.count()).select_from(Run).where(Run.state != RunState.ENDED))
            active = await is_held(session, LISTENER_LOCK)
        message = f"No listener is active. Open runs: {needed}"
        if not needed or not active:
            return Finding("listener_gone", bool(needed), message)
        try:
            # One that hangs keeps its lock, and stops beating.
            return Finding("listener_gone", LISTENER not in await read_beats(self._redis), message)
        except CacheUnavailable:
            return Finding("listener_gone", None, message)


async def _is_away(ask: Callable[[], Awaitable[None]]) -> bool:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await ask()
    except (CacheUnavailable, RPCError, RuntimeError, OSError, TimeoutError):
        return True
    return False
