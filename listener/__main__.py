"""`python -m listener`: the market feed, the stops, the signals. Settings are environment variables (runtime/settings.py).

Starts whatever is down, waits for it and says so; ends at SIGTERM or Ctrl-C within a second.
"""

import asyncio
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack

import structlog
import uvloop

from cache.connection import connect as connect_redis
from listener.market import Market
from listener.service import Listener, Surroundings
from listener.supervision import supervised
from runtime.brokers import open_accounts
from runtime.calendar import make_calendar
from runtime.clock import SystemClock
from runtime.garbage import collect_seldom
from runtime.instruments_job import InstrumentJob
from runtime.logging import configure_logging
from runtime.records import Records
from runtime.settings import Settings
from runtime.temporal import connect as connect_temporal
from storage.database import Database

# What is still closing after this is cut off: nothing here is lost by it (seconds).
CLOSE_SECONDS = 0.7
_log = structlog.get_logger()


async def listen(settings: Settings, records: Records) -> None:
    """Runs the listener until it is cancelled. Raises ValueError for settings it cannot work with."""
    clock, metrics = SystemClock(), records.metrics
    async with AsyncExitStack() as closing:
        database = await closing.enter_async_context(
            Database(settings.database_url, pool_size=settings.database_pool_size, name="listener")
        )
        accounts = open_accounts(settings, database, clock, on_call=records.note_call)
        closing.push_async_callback(accounts.close)
        redis = connect_redis(settings.redis_url)
        closing.push_async_callback(redis.aclose)
        metrics.serve(settings.listener_metrics_port)
        around = Surroundings(
            name=settings.process_name or f"{socket.gethostname()}:{os.getpid()}",
            database=database,
            redis=redis,
            temporal=await connect_temporal(settings, lazy=True),
            accounts=accounts,
            brokers=accounts.with_servers(),
            market=Market(accounts.instruments, calendar=make_calendar(settings), clock=clock),
            clock=clock,
            metrics=metrics,
        )
        instruments = InstrumentJob(database, accounts.instruments, masters=(), clock=clock)
        async with asyncio.TaskGroup() as parts:
            parts.create_task(supervised("follow the instrument list", instruments.run))
            parts.create_task(Listener(around).run())
            for keeping in records.keeping(database, clock):
                parts.create_task(keeping)


async def serve(settings: Settings, records: Records) -> int:
    """Exit code. Listens until a signal asks it to stop."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    listening = asyncio.create_task(listen(settings, records))
    asked = asyncio.create_task(stop.wait())
    await asyncio.wait({listening, asked}, return_when=asyncio.FIRST_COMPLETED)
    if listening.done():
        asked.cancel()
        listening.result()
        return 1
    _log.info("listener_stopping")
    listening.cancel()
    _, unfinished = await asyncio.wait({listening}, timeout=CLOSE_SECONDS)
    if unfinished:
        # A peer that does not answer the end of its connection would hold us; the kernel ends it as well.
        os._exit(0)
    _log.info("listener_stopped")
    return 0


def main() -> int:
    settings = Settings()
    records = Records(settings, kind="listener")
    configure_logging(settings, process="listener", keep=records.book.keep_event)
    collect_seldom()
    try:
        return uvloop.run(serve(settings, records))
    except ValueError as error:
        _log.error("listener_cannot_start", error=str(error))
        return 2


if __name__ == "__main__":
    sys.exit(main())
