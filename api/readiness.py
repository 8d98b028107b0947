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
from cache.heartbeats import Beat, read_beats
from runtime.calendar import BombayCalendar
from storage.models import DeskLease
from trading.sessions import trading_date

T = TypeVar("T")

CHECK_TIMEOUT_SECONDS = 2.0
# Clocks further apart than this make instants and orders come too early or too late.
CLOCK_TOLERANCE_MS = 100.0
# The calendar must know at least this many days ahead; below that somebody has to write an override file.
CALENDAR_HORIZON = timedelta(days=7)
LISTENER = "listener"
WORKER_PREFIX = "worker:"


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
        _checked("feed", lambda: _feed(services, beats), needed=False),
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
    ours, took_ms = services.clock.now(), (services.clock.monotonic() - began) * 1000
    apart_ms = abs((ours - theirs).total_seconds() * 1000)
    if apart_ms > CLOCK_TOLERANCE_MS + took_ms:
        return Part("postgres", PartState.DEGRADED, True, took_ms, f"clocks are {apart_ms:.0f} ms apart")
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
    """By heartbeat; while Redis is away, by a desk lease that somebody holds."""
    known = await beats
    if known is None:
        async with services.database.transaction() as session:
            leases = await session.scalar(select(func.count()).where(DeskLease.expires_at > func.clock_timestamp()))
        if leases:
            return Part("worker", PartState.OK, True, detail=f"{leases} desks are leased")
        return Part("worker", PartState.DEGRADED, True, detail="cannot be told while Redis is away")
    alive = [beat for name, beat in known.items() if name.startswith(WORKER_PREFIX)]
    if not alive:
        return Part("worker", PartState.DOWN, True, detail="no worker is alive")
    newest = max(beat.at for beat in alive)
    return Part("worker", PartState.OK, True, _age_ms(services, newest), f"{len(alive)} alive")


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
