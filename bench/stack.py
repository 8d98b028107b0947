"""The platform that is measured: all of it, as processes, on free ports, in a folder of its own, with a hand on every part."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import text

from api.services import Replacements, Services, open_services
from bench.wire import ExchangeLog
from local.parts.postgres import database_url
from local.parts.redis import redis_url
from local.record import StackRecord
from local.running import record_path
from local.secrets import ensure_secrets
from runtime.logging import configure_logging
from runtime.settings import Settings
from tests.chaos.calls import Caller
from tests.chaos.people import http_session, platform_is_ready
from tests.chaos.stack import Stack, running_stack
from trading.sessions import INDIA

POLL_SECONDS = 0.1
# Plans of the bench end with the Indian day; a measurement must not run into that.
_NEEDED_BEFORE_MIDNIGHT = timedelta(minutes=45)
_PROFILED = Path(__file__).parent / "profiled"


class BenchFailed(Exception):
    """Nothing could be measured, and why."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who measures has chosen. `profiles`: folder for profiles of our processes, None for none."""

    state: Path
    count: int
    workers: int
    profiles: Path | None
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class World:
    """A running platform. `services` are what an API process works with, opened in this one."""

    options: Options
    stack: Stack
    services: Services
    http: aiohttp.ClientSession
    control: Caller
    log: ExchangeLog

    @property
    def api_url(self) -> str:
        return f"{self.stack.api_url}/api/v1"

    def say(self, words: str) -> None:
        self.options.say(words)

    async def fetch(self, query: str, **values: object) -> list[Any]:
        """Rows of the platform's own database."""
        async with self.services.database.transaction() as session:
            return list(await session.execute(text(query), values))

    async def number(self, query: str, **values: object) -> int:
        return int((await self.fetch(query, **values))[0][0])


@asynccontextmanager
async def running_world(options: Options, *, symbols: int = 0, given: Mapping[str, str] | None = None) -> AsyncIterator[World]:
    """Starts and ends everything. `symbols`: synthetic shares beside the exchange's own; `given`: settings of the platform.

    Raises StackFailed, BenchFailed.
    """
    _require_time_today()
    chosen = {
        "SIMULATOR_EXTRA_INSTRUMENTS": str(symbols),
        "LOG_LEVEL": "warning",
        **_profiling(options.profiles),
        **(given or {}),
    }
    options.say("starting the platform")
    async with running_stack(options.state, workers=options.workers, settings=chosen) as stack, http_session() as http:
        control = Caller(http, f"{stack.control_url}/control")
        await platform_is_ready(Caller(http, f"{stack.api_url}/api/v1"))
        health = await control("GET", "/health")
        settings = _settings(stack, health)
        configure_logging(settings, process="bench")
        async with open_services(settings, Replacements(watching=False)) as services:
            world = World(options, stack, services, http, control, ExchangeLog(stack.exchange_log))
            await until(lambda: _instruments_are_known(services), "the instruments to be listed", seconds=60)
            yield world


def _require_time_today() -> None:
    now = datetime.now(INDIA)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    if midnight - now < _NEEDED_BEFORE_MIDNIGHT:
        raise BenchFailed(f"it is {now:%H:%M} in India, where the plans of the bench end at midnight: try again after that")


def _profiling(folder: Path | None) -> Mapping[str, str]:
    return {} if folder is None else {"PYTHONPATH": str(_PROFILED), "BENCH_PROFILES": str(folder)}


def _settings(stack: Stack, health: Mapping[str, Any]) -> Settings:
    """Those of the running processes, taken from where the stack keeps them."""
    record = StackRecord.read(record_path(stack.state))
    temporal = next((part.address for part in record.parts if part.name == "temporal"), "") if record else ""
    values: dict[str, Any] = {
        "database_url": database_url(stack.sockets),
        "redis_url": redis_url(stack.sockets),
        "temporal_address": temporal,
        "zerodha_api_url": health["kite_url"],
        "zerodha_ws_url": health["kite_ws_url"],
        "zerodha_login_url": health["login_url"],
        "log_level": "warning",
        **{name.lower(): value for name, value in ensure_secrets(stack.state / "secrets.env", given=()).items()},
    }
    return Settings(**values, _env_file=None)


async def _instruments_are_known(services: Services) -> bool:
    return services.instruments.count > 0


async def until(
    check: Callable[[], Coroutine[Any, Any, bool]], what: str, *, seconds: float, every: float = POLL_SECONDS
) -> float:
    """Seconds until it was so. Raises BenchFailed when it never is."""
    began = time.monotonic()
    while not await check():
        if time.monotonic() - began > seconds:
            raise BenchFailed(f"waited {seconds:.0f} s in vain for {what}")
        await asyncio.sleep(every)
    return time.monotonic() - began
