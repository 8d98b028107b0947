"""Readiness: each part with its state and its lag. One slow part never hides the others."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from api.notify import TEMPORAL_AWAY
from api.services import Services
from cache.connection import CacheUnavailable, cache_errors
from cache.heartbeats import LISTENER, STANDBY_LISTENER, WORKER_PREFIX, Beat, read_beats
from execution.leases import live_workers, uncovered
from runtime.calendar import BombayCalendar
from storage.locks import LISTENER_LOCK, is_held
from storage.models import DeskLease, Run, Severity
from storage.repositories import alerts
from trading.runs import RunState
from trading.sessions import trading_date

T = TypeVar("T")

CHECK_TIMEOUT_SECONDS = 2.0
# Clocks further apart than this make instants and orders come too early or too late.
CLOCK_TOLERANCE_MS = 100.0
# The calendar must know at least this many days ahead; below that somebody has to write an override file.
CALENDAR_HORIZON = timedelta(days=7)
# A message that waits longer than this meets a target that does not take it.
TOLD_WITHIN_MS = 60_000.0
# A new account has no desk for a moment.
NEW_SECONDS = 5.0


# Accounts with an open run that were last compared with their broker on another database server (execution/servers.py).
FROZEN_ACCOUNTS = select(func.count()).where(
    DeskLease.compared_server.is_distinct_from(func.database_server()),
    select(Run.id).where(Run.account_id == DeskLease.account_id, Run.state != RunState.ENDED).exists(),
)


class PartState(str, Enum):
    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Part:
    """`needed`: without it nothing new can be started."""

    name: str
    state: PartState
    needed: bool
    lag_ms: float | None = None
    detail: str = ""


async def read_parts(services: Services) -> list[Part]:
    """Every part, asked at the same time."""
    beats = asyncio.ensure_future(_beats(services))
    checks = (
        _checked("postgres", lambda: _postgres(services), needed=True),
        _checked("redis", lambda: _redis(services), needed=False),
        _checked("temporal", lambda: _temporal(services), needed=True),
        _checked("worker", lambda: _worker(services, beats), needed=True),
        _checked("listener", lambda: _listener(services, beats), needed=False),
        _checked("feed", lambda: _feed(services, beats), needed=False),
        _checked("clock", lambda: _clock(services, beats), needed=False),
        _checked("alarms", lambda: _alarms(services), needed=False),
    )
    return [*await asyncio.gather(*checks), _instruments(services), _calendar(services)]


async def _checked(name: str, check: Callable[[], Awaitable[Part]], *, needed: bool) -> Part:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await check()
    except (SQLAlchemyError, CacheUnavailable, *TEMPORAL_AWAY) as error:
        return Part(name, PartState.DOWN, needed, detail=f"does not answer ({type(error).__name__})")


async def _postgres(services: Services) -> Part:
    """Also compares clocks: the claim is timed by the database's."""
    began = services.clock.monotonic()
    async with services.database.transaction() as session:
        theirs: datetime = (await session.scalars(select(func.clock_timestamp()))).one()
        frozen = await session.scalar(FROZEN_ACCOUNTS) or 0
    ours, took_ms = services.clock.now(), (services.clock.monotonic() - began) * 1000
    apart_ms = abs((ours - theirs).total_seconds() * 1000)
    if apart_ms > CLOCK_TOLERANCE_MS + took_ms:
        return Part("postgres", PartState.DEGRADED, True, took_ms, f"clocks are {apart_ms:.0f} ms apart")
    if frozen:
        detail = f"another server than before: {frozen} accounts wait until their broker's book has been compared"
        return Part("postgres", PartState.DEGRADED, True, took_ms, detail)
    return Part("postgres", PartState.OK, True, took_ms)


async def _redis(services: Services) -> Part:
    began = services.clock.monotonic()
    with cache_errors():
        await services.redis.ping()
    return Part("redis", PartState.OK, False, (services.clock.monotonic() - began) * 1000)


async def _temporal(services: Services) -> Part:
    began = services.clock.monotonic()
    healthy = await services.temporal.service_client.check_health(timeout=timedelta(seconds=CHECK_TIMEOUT_SECONDS))
    state = PartState.OK if healthy else PartState.DOWN
    return Part("temporal", state, True, (services.clock.monotonic() - began) * 1000)


async def _beats(services: Services) -> dict[str, Beat] | None:
    try:
        return await read_beats(services.redis)
    except CacheUnavailable:
        return None


async def _worker(services: Services, beats: asyncio.Future[dict[str, Beat] | None]) -> Part:
    """Who is alive, by heartbeat or by leases, and whether every account with something open has a desk."""
    async with services.database.transaction() as session:
        without = len(await uncovered(session, grace_seconds=NEW_SECONDS))
        leasing = await live_workers(session)
    known = await beats
    alive = [beat for name, beat in (known or {}).items() if name.startswith(WORKER_PREFIX)]
    lag = _age_ms(services, max(beat.at for beat in alive)) if alive else None
    missing = f"{without} accounts with open runs have no desk" if without else ""
    if not alive and not leasing:
        unknown = known is None and not without
        detail = missing or ("cannot be told while Redis is away" if unknown else "no worker is alive")
        return Part("worker", PartState.DEGRADED if unknown else PartState.DOWN, True, detail=detail)
    if missing:
        return Part("worker", PartState.DEGRADED, True, lag, missing)
    return Part("worker", PartState.OK, True, lag, f"{max(len(alive), leasing)} alive")


async def _listener(services: Services, beats: asyncio.Future[dict[str, Beat] | None]) -> Part:
    """Active is who holds the lock and beats; without Redis, who holds the lock."""
    async with services.database.transaction() as session:
        locked = await is_held(session, LISTENER_LOCK)
    known = await beats
    if known is None:
        detail = "one holds the lock" if locked else "no listener is active"
        return Part("listener", PartState.OK if locked else PartState.DOWN, False, detail=detail)
    beat, standby = known.get(LISTENER), STANDBY_LISTENER in known
    if beat is None:
        detail = "the active one does not beat" if locked else "no listener is active"
        return Part("listener", PartState.DOWN, False, detail=detail)
    return Part("listener", PartState.OK, False, _age_ms(services, beat.at), "with a standby" if standby else "without a standby")


async def _feed(services: Services, beats: asyncio.Future[dict[str, Beat] | None]) -> Part:
    known = await beats
    beat = (known or {}).get(LISTENER)
    if known is None or beat is None:
        state, detail = PartState.DOWN, "no listener is alive"
        return Part("feed", PartState.DEGRADED if known is None else state, False, detail=detail)
    age = beat.data.get("feed_age_ms")
    lag = float(age) if isinstance(age, int | float) else None
    if not beat.data.get("connected"):
        return Part("feed", PartState.DEGRADED, False, lag, str(beat.data.get("trouble") or "no account's feed is connected"))
    if not beat.data.get("healthy"):
        return Part("feed", PartState.DEGRADED, False, lag, str(beat.data.get("trouble") or "the feed is silent"))
    return Part("feed", PartState.OK, False, lag)


async def _clock(services: Services, beats: asyncio.Future[dict[str, Beat] | None]) -> Part:
    """This process's, as it was last compared, and what the workers say of theirs. Only a proven error is one."""
    error = services.clock_watch.newest
    wrong = [f"api: {error.words}"] if error.is_wrong else []
    for name, beat in (await beats or {}).items():
        if name.startswith(WORKER_PREFIX) and beat.data.get("clock"):
            wrong.append(f"{name}: {beat.data['clock']}")
    lag = error.proven.total_seconds() * 1000
    return Part("clock", PartState.DEGRADED if wrong else PartState.OK, False, lag, "; ".join(wrong))


async def _alarms(services: Services) -> Part:
    """Whether people can be told; `lag_ms`: how long the oldest message waits. How much is wrong is the alarms' own business."""
    names = [target.name for target in services.targets]
    async with services.database.transaction() as session:
        still_open = await alerts.open_by_severity(session)
        late = await alerts.undelivered(session, targets=names)
    for severity in Severity:
        services.metrics.gauge("alerts_open", still_open.get(severity, 0), severity=severity.value)
    is_open = f"{sum(still_open.values())} open"
    if not names:
        return Part("alarms", PartState.OK, False, detail=f"{is_open}; nobody is told: ALERT_TARGETS is empty")
    waits_ms = _age_ms(services, late.oldest_at) if late.oldest_at else 0.0
    detail = f"{is_open}; {late.waiting} messages wait, {late.given_up} were given up"
    state = PartState.DEGRADED if late.given_up or waits_ms > TOLD_WITHIN_MS else PartState.OK
    return Part("alarms", state, False, waits_ms, detail)


def _instruments(services: Services) -> Part:
    failures = "; ".join(f"{broker.value}: {why}" for broker, why in services.instrument_job.report.failures.items())
    if not services.instruments.count:
        return Part("instruments", PartState.DOWN, True, detail=failures or "no list has been loaded yet")
    listed_on = services.instruments.listed_on
    detail = f"{services.instruments.count} of {listed_on}"
    if failures:
        return Part("instruments", PartState.DEGRADED, True, detail=f"{detail}; {failures}")
    return Part("instruments", PartState.OK, True, detail=detail)


def _calendar(services: Services) -> Part:
    calendar = services.calendar
    if not isinstance(calendar, BombayCalendar):
        return Part("calendar", PartState.OK, True, detail="always open")
    return judge_horizon(calendar.known_until, today=trading_date(services.clock.now()))


def judge_horizon(known_until: date, *, today: date) -> Part:
    detail = f"known until {known_until}"
    if known_until < today:
        return Part("calendar", PartState.DOWN, True, detail=detail)
    if known_until - today < CALENDAR_HORIZON:
        return Part("calendar", PartState.DEGRADED, True, detail=f"{detail}; extend it with CALENDAR_OVERRIDES")
    return Part("calendar", PartState.OK, True, detail=detail)


def _age_ms(services: Services, at: datetime) -> float:
    return max(0.0, (services.clock.now() - at.astimezone(UTC)).total_seconds() * 1000)
