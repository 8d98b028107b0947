"""`python worker.py`: runs workflows, activities and the desks. All order traffic leaves from here."""

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import structlog
import uvloop
from redis.asyncio import Redis
from temporalio.client import Client
from temporalio.service import RPCError

from activities.readiness import RowReadinessActivities
from cache.connection import CacheUnavailable, connect
from cache.heartbeats import WORKER_PREFIX, Fact, beat
from execution.claim import prepare_claims
from execution.tasks import end
from runtime import temporal, watching
from runtime.brokers import open_accounts
from runtime.calendar import make_calendar
from runtime.clock import SystemClock
from runtime.clock_watch import ClockWatch
from runtime.garbage import collect_seldom
from runtime.guard import Guard
from runtime.instruments_job import InstrumentJob
from runtime.logging import configure_logging
from runtime.messenger import Target, open_targets
from runtime.records import Records
from runtime.settings import Settings
from runtime.temporal_worker import ensure_schedules, make_worker
from runtime.trading import TradingRoom, open_trading_room
from runtime.version import VERSION
from storage.database import Database

_log = structlog.get_logger()

RETRY_SECONDS = 1.0
# One claim at a time, on one of two connections for single statements; the others, opened when needed, are for claims that are
# judged by limits.
CLAIM_CONNECTIONS = 8
Activities: TypeAlias = Sequence[Callable[..., Any]]


async def main(settings: Settings, targets: Sequence[Target], records: Records) -> None:
    """Desks first: they trade what is armed whether or not Temporal is up. Ends cleanly on SIGTERM and SIGINT."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    clock, metrics = SystemClock(), records.metrics
    if settings.worker_metrics_port:
        metrics.serve(settings.worker_metrics_port)
    database = Database(settings.database_url, pool_size=settings.database_pool_size, name="worker")
    claims = Database(settings.database_url, pool_size=CLAIM_CONNECTIONS, name="worker claims")
    redis = connect(settings.redis_url)
    accounts = open_accounts(settings, database, clock, on_call=records.note_call)
    calendar = make_calendar(settings)
    room = open_trading_room(
        settings,
        database=database,
        redis=redis,
        accounts=accounts,
        instruments=accounts.instruments,
        calendar=calendar,
        clock=clock,
        metrics=metrics,
        claims=claims,
    )
    beside = watching.open_beside(
        settings, kind="worker", database=database, redis=redis, accounts=accounts, calendar=calendar, clock=clock
    )
    readiness = RowReadinessActivities(
        database=database, calendar=calendar, look=beside.day_readiness, public_url=settings.public_url
    )
    activities = [*room.activities, readiness.check_accounts]
    helpers = [
        asyncio.create_task(InstrumentJob(database, accounts.instruments, masters=(), clock=clock).run(), name="instruments"),
        asyncio.create_task(_heartbeat(redis, room, beside.clock_watch), name="heartbeat"),
        *(asyncio.create_task(task) for task in records.keeping(database, clock)),
        *watching.tasks(
            settings,
            database=database,
            redis=redis,
            clock=clock,
            targets=targets,
            process=room.tools.owner,
            beside=beside,
        ),
        asyncio.create_task(_serve_temporal(settings, room, activities, stop), name="temporal"),
    ]
    await prepare_claims(claims)
    room.start()
    _log.info("worker_started", owner=room.tools.owner)
    await stop.wait()
    _log.info("worker_stopping")
    await helpers[-1]
    await room.close()
    for helper in helpers[:-1]:
        helper.cancel()
    await asyncio.gather(*helpers, return_exceptions=True)
    await beside.close()
    await accounts.close()
    await redis.aclose()
    await claims.close()
    await database.close()


async def _serve_temporal(settings: Settings, room: TradingRoom, activities: Activities, stop: asyncio.Event) -> None:
    """Connect, and connect again: Temporal may start after us, and may be restarted."""
    while not stop.is_set():
        try:
            client = await temporal.connect(settings)
            await ensure_schedules(client, settings)
            await _run_worker(client, settings, room, activities, stop)
        except (RPCError, RuntimeError, OSError) as error:
            _log.warning("temporal_unavailable", error=str(error))
            await _stopped_within(stop, RETRY_SECONDS)


async def _run_worker(client: Client, settings: Settings, room: TradingRoom, activities: Activities, stop: asyncio.Event) -> None:
    tools = room.tools
    guard = Guard(
        database=tools.database,
        client=client,
        clock=tools.clock,
        lead=settings.lead,
        task_queue=settings.task_queue,
        rush=tools.rush,
    )
    async with make_worker(client, settings, activities):
        guarding = asyncio.create_task(guard.run(), name="guard")
        try:
            await stop.wait()
        finally:
            await end([guarding])


async def _stopped_within(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


async def _heartbeat(redis: Redis, room: TradingRoom, clock_watch: ClockWatch) -> None:
    """Tells readiness that this worker lives, and how many desks it runs."""
    while True:
        try:
            await beat(redis, f"{WORKER_PREFIX}{room.tools.owner}", _facts(room, clock_watch))
        except CacheUnavailable:
            _log.debug("heartbeat_lost")
        await asyncio.sleep(RETRY_SECONDS)


def _facts(room: TradingRoom, clock_watch: ClockWatch) -> dict[str, Fact]:
    """`clock`: how wrong this machine's clock is shown to be, in words; empty when it is not."""
    error = clock_watch.newest
    wrong = error.words if error.is_wrong else ""
    return {"desks": len(room.floor.desks), "armed": len(room.floor.armed), "clock": wrong, "version": VERSION}


if __name__ == "__main__":
    try:
        configured = Settings()
        whom_to_tell = open_targets(configured.alert_targets)
    except ValueError as error:
        sys.exit(f"worker: a setting is wrong: {error}")
    kept = Records(configured, kind="worker")
    configure_logging(configured, process="worker", keep=kept.book.keep_event)
    collect_seldom()
    uvloop.run(main(configured, whom_to_tell, kept))
