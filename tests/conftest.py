"""Fixtures every test may ask for: real servers, started on first use and shared by the whole run."""

import asyncio
import os
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from uuid import uuid4

import pytest
import structlog
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from local.namespace import ensure_namespace
from local.parts.postgres import database_url as url_of_database
from local.parts.redis import redis_url as url_of_redis
from tests import watchdog
from tests.databases import drop_database, ensure_template, new_database
from tests.stack import address_of, close_stack, folder, locked, open_stack
from workflows.names import SEARCH_ATTRIBUTES

# Settings().temporal_namespace, without reading the .env of whoever runs the tests.
NAMESPACE = "default"

# Hypothesis' deadlines measure the machine and not the code; what failed can be repeated from the printed blob. The examples
# are the same ones every time: a surprise belongs to whoever goes looking for it, with `EXPLORE=1`.
settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    derandomize="EXPLORE" not in os.environ,
)
settings.load_profile("any machine")

# Short tracebacks: the library's own, with all variables, hold an event loop up for seconds when a server goes away.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


class TellsFailuresAtOnce:
    """Whoever watches a long run, or finds it cut off, knows which tests had failed."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None and not hasattr(self._config, "workerinput"):
            terminal.write_line(f"\nFAILED {report.nodeid} ({report.when}, {report.duration:.0f} s)", red=True)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(TellsFailuresAtOnce(config), "tells-failures-at-once")
    if not hasattr(config, "workerinput"):
        open_stack()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    marker = item.get_closest_marker("timeout")
    limit = float(marker.args[0] if marker is not None else item.config.getini("timeout"))
    with watchdog.watched(item.nodeid, limit, folder()):
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in watchdog.reports(folder()):
        terminalreporter.section("hung")
        terminalreporter.write(report)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        close_stack()


@pytest.fixture(scope="session")
def postgres_sockets() -> Path:
    """Folder of the Postgres socket, for `asyncpg.connect(host=..., user="postgres")`; the migrated template exists."""
    sockets = Path(address_of("postgres")).parent
    asyncio.run(ensure_template(sockets))
    return sockets


@pytest.fixture(scope="session")
def postgres_server(postgres_sockets: Path) -> str:
    """URL (SQLAlchemy, asyncpg) of the server's own `postgres` database, with all rights."""
    return url_of_database(postgres_sockets, database="postgres")


@pytest.fixture
async def database_url(postgres_sockets: Path) -> AsyncIterator[str]:
    """URL (SQLAlchemy, asyncpg) of a database with today's schema and no rows, this test's own."""
    name = await new_database(postgres_sockets)
    yield url_of_database(postgres_sockets, database=name)
    await drop_database(postgres_sockets, name)


@pytest.fixture(scope="session")
def redis_server() -> str:
    """URL of this worker's own Redis. One each, because channels are shared by all databases of a server."""
    return url_of_redis(Path(address_of(f"redis-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}")).parent)


@pytest.fixture
async def redis_url(redis_server: str) -> str:
    """URL of a Redis that is empty when the test begins."""
    async with Redis.from_url(redis_server) as client:
        await client.flushall()
    return redis_server


@pytest.fixture(scope="session")
def temporal_address() -> str:
    """host:port of a Temporal server with time skipping on; the namespace `default` has our search attributes."""
    address = address_of("temporal")
    done = folder() / "namespace.done"
    with locked("namespace"):
        if not done.exists():
            asyncio.run(ensure_namespace(address, NAMESPACE, search_attributes=SEARCH_ATTRIBUTES))
            done.touch()
    return address


@pytest.fixture
async def temporal_client(temporal_address: str) -> Client:
    """A client that encodes as every process does (runtime/temporal.py)."""
    return await Client.connect(temporal_address, namespace=NAMESPACE, data_converter=pydantic_data_converter)


@pytest.fixture
def task_queue() -> str:
    """A task queue no other test polls."""
    return f"test-{uuid4().hex}"
