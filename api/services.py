"""What the routes work with, opened once per process. Nothing here needs Temporal, Redis or a broker to be up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from redis.asyncio import Redis
from temporalio.client import Client

from api.live.hub import Hub, StreamLimits
from api.passwords import Passwords
from api.throttle import Rates, Throttle
from api.tokens import Signer, parse_keys
from cache.connection import CacheUnavailable
from cache.connection import connect as connect_redis
from cache.heartbeats import API_PREFIX, Fact, beat
from runtime import temporal, watching
from runtime.accounts import Adapters, BrokerAccounts
from runtime.brokers import open_accounts
from runtime.calendar import make_calendar
from runtime.clock import SystemClock
from runtime.clock_watch import ClockWatch
from runtime.day_readiness import DayReadiness
from runtime.instruments import InstrumentDirectory
from runtime.instruments_job import InstrumentJob
from runtime.messenger import Target, open_targets
from runtime.metrics import PrometheusMetrics
from runtime.push import Push
from runtime.records import Records
from runtime.settings import Settings
from runtime.user_targets import UserTargets
from runtime.version import VERSION
from storage.database import Database
from trading.ports.clock import Clock
from trading.sessions import TradingCalendar

BEAT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Replacements:
    """What tests bring along instead of the real thing."""

    adapters: Adapters | None = None
    clock: Clock | None = None
    calendar: TradingCalendar | None = None
    passwords: Passwords | None = None
    # Whether this process watches the other parts and tells people of alarms.
    watching: bool = True
    streams: StreamLimits = field(default_factory=StreamLimits)


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    clock: Clock
    calendar: TradingCalendar
    database: Database
    redis: Redis
    temporal: Client
    accounts: BrokerAccounts
    instrument_job: InstrumentJob
    metrics: PrometheusMetrics
    signer: Signer
    passwords: Passwords
    throttle: Throttle
    hub: Hub
    targets: tuple[Target, ...]
    user_targets: UserTargets
    push: Push | None
    clock_watch: ClockWatch
    day_readiness: DayReadiness
    # Files of prices are read by so many processes at once.
    file_readers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    @property
    def instruments(self) -> InstrumentDirectory:
        return self.accounts.instruments


@asynccontextmanager
async def open_services(settings: Settings, replaced: Replacements, records: Records | None = None) -> AsyncIterator[Services]:
    """Raises ValueError, naming the setting, when a key ring is missing or malformed, or a target's address is wrong."""
    clock = replaced.clock or SystemClock()
    records = records or Records(settings, kind="api")
    keys = parse_keys(settings.jwt_keys.get_secret_value())
    targets = open_targets(settings.alert_targets)
    database = Database(settings.database_url, pool_size=settings.database_pool_size, name="api")
    accounts = open_accounts(settings, database, clock, on_call=records.note_call, adapters=replaced.adapters)
    redis = connect_redis(settings.redis_url)
    metrics = records.metrics
    rates = Rates(settings.rate_limit_per_minute, settings.login_attempts_per_minute)
    calendar = replaced.calendar or make_calendar(settings)
    beside = watching.open_beside(
        settings, kind="api", database=database, redis=redis, accounts=accounts, calendar=calendar, clock=clock
    )
    services = Services(
        settings=settings,
        clock=clock,
        calendar=calendar,
        database=database,
        redis=redis,
        temporal=await temporal.connect(settings, lazy=True),
        accounts=accounts,
        instrument_job=InstrumentJob(database, accounts.instruments, masters=accounts.masters(), clock=clock),
        metrics=metrics,
        signer=Signer(keys, clock),
        passwords=replaced.passwords or Passwords(),
        throttle=Throttle(settings.redis_url, rates, clock=clock, metrics=metrics),
        hub=Hub(redis, replaced.streams, per_user=settings.streams_per_user),
        targets=targets,
        user_targets=beside.user_targets,
        push=beside.push,
        clock_watch=beside.clock_watch,
        day_readiness=beside.day_readiness,
    )
    background = [asyncio.create_task(services.instrument_job.run())]
    if replaced.watching:
        background += [asyncio.create_task(task) for task in records.keeping(database, clock)]
        background.append(asyncio.create_task(beat_for_ever(services, records.process)))
        background += watching.tasks(
            settings,
            database=database,
            redis=redis,
            clock=clock,
            targets=targets,
            process=records.process,
            beside=beside,
        )
    try:
        yield services
    finally:
        await _end(background)
        services.passwords.close()
        await beside.close()
        await accounts.close()
        await redis.aclose()
        await database.close()


async def beat_for_ever(services: Services, process: str) -> None:
    """Tells Admins that this process lives, and what it is."""
    started_at = services.clock.now().isoformat()
    while True:
        error = services.clock_watch.newest
        facts: dict[str, Fact] = {
            "version": VERSION,
            "started_at": started_at,
            "streams": services.hub.open_streams,
            "clock": error.words if error.is_wrong else "",
        }
        try:
            await beat(services.redis, f"{API_PREFIX}{process}", facts)
        except CacheUnavailable:
            services.metrics.count("redis_failures")
        await asyncio.sleep(BEAT_SECONDS)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
