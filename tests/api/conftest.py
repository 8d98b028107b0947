"""The application over real Postgres, Redis and Temporal, with a broker in memory and a clock that is held."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any

import httpx
import pytest
import structlog
from argon2 import PasswordHasher
from asgi_lifespan import LifespanManager
from fastapi import FastAPI

from api.live.hub import StreamLimits
from api.main import PREFIX, create_app
from api.passwords import Passwords
from api.services import Replacements, Services
from runtime.settings import Settings
from tests.api.fakes import FakeAdapters, FakeBrokerWorld, HeldClock, WeekdayCalendar

PASSWORD = "correct horse battery staple"
JWT_KEY = "k1:" + "a" * 64
AES_KEY = "a1:" + base64.b64encode(b"k" * 32).decode()
LIMIT_SECONDS = 20.0
# The library's default draws tracebacks with all local values, which takes half a minute.
structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])
_emails = count(1)

PLAN = {"symbol": "TCS", "buy_time": "09:30:00", "sell_time": "15:30:00", "stop_loss": 3500, "quantity": 10}


def make_settings(database_url: str, redis_url: str, **more: Any) -> Settings:
    defaults: dict[str, Any] = {
        "database_url": database_url,
        "redis_url": redis_url,
        # Nobody listens there; tests that need Temporal say so.
        "temporal_address": "127.0.0.1:9",
        "jwt_keys": JWT_KEY,
        "aes_master_keys": AES_KEY,
        "rate_limit_per_minute": 100_000,
        "login_attempts_per_minute": 1_000,
        "database_pool_size": 10,
    }
    return Settings(_env_file=None, **{**defaults, **more})


@dataclass
class Client:
    """One user's way to the API. Every error it gets must be declared in the OpenAPI document."""

    http: httpx.AsyncClient
    tokens: dict[str, Any] = field(default_factory=dict)

    @property
    def user_id(self) -> str:
        return str(self.tokens["user_id"])

    async def call(self, method: str, path: str, *, expect: int | None = None, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens['token']}"} if self.tokens else {}
        headers |= options.pop("headers", {})
        response = await self.http.request(method, PREFIX + path, headers=headers, **options)
        if expect is not None:
            assert response.status_code == expect, response.text
        return response

    async def get(self, path: str, **options: Any) -> Any:
        return (await self.call("GET", path, expect=options.pop("expect", 200), **options)).json()

    async def post(self, path: str, body: Any = None, *, expect: int = 200, **options: Any) -> Any:
        return (await self.call("POST", path, expect=expect, json=body, **options)).json()

    async def refused(self, method: str, path: str, status: int, code: str, **options: Any) -> Any:
        """The call must be refused with exactly this."""
        answer = (await self.call(method, path, expect=status, **options)).json()
        assert answer["error"] == code, answer
        return answer

    async def create(self, **changes: Any) -> str:
        return str((await self.post("/strategy/create", {**PLAN, **changes}, expect=201))["strategy_id"])


@dataclass
class Platform:
    """The running application and what surrounds it."""

    app: FastAPI
    services: Services
    http: httpx.AsyncClient
    adapters: FakeAdapters
    clock: HeldClock

    @property
    def broker(self) -> FakeBrokerWorld:
        return self.adapters.world

    def anonymous(self) -> Client:
        return Client(self.http)

    async def user(self, email: str | None = None) -> Client:
        client = Client(self.http)
        body = {"email": email or f"user{next(_emails)}@example.com", "password": PASSWORD}
        client.tokens = await client.post("/auth/register", body, expect=201)
        return client

    async def connect(self, client: Client, api_key: str = "key", *, user_id: str | None = None) -> str:
        """A broker account that is logged in."""
        token = self.broker.register(api_key, user_id=user_id)
        body = {"api_key": api_key, "api_secret": "secret", "access_token": token}
        return str((await client.post("/broker/connect", body, expect=201))["broker_id"])


@cache
def openapi_document() -> dict[str, Any]:
    """The same for every application; making it takes a while."""
    return create_app(make_settings("", "")).openapi()


class DeclaredErrors:
    """Refuses any error answer that the OpenAPI document does not announce for that route."""

    def __init__(self) -> None:
        paths = openapi_document()["paths"]
        self._routes = [(re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path) + "$"), path, methods) for path, methods in paths.items()]

    async def __call__(self, response: httpx.Response) -> None:
        if response.status_code < 400 or response.headers.get("content-type", "") != "application/json":
            return
        await response.aread()
        method = response.request.method.lower()
        # A fixed word comes before an id in the same place, as it does in the router.
        fitting = [found for found in self._routes if found[0].match(response.request.url.path) and method in found[2]]
        fitting.sort(key=lambda found: found[1].count("{"))
        code = response.json().get("error")
        if not fitting or code is None:
            return
        declared = fitting[0][2][method]["responses"].get(str(response.status_code), {})
        examples = declared.get("content", {}).get("application/json", {}).get("examples", {})
        assert code in examples, f"{method.upper()} {fitting[0][1]} answered {response.status_code} {code}, which is not declared"


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = asyncio.get_running_loop().time() + LIMIT_SECONDS
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"waited too long until {what}"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(
    settings: Settings,
    adapters: FakeAdapters,
    *,
    wait: bool = True,
    is_watching: bool = False,
    streams: StreamLimits | None = None,
) -> AsyncIterator[Platform]:
    clock = adapters.world.clock
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    replaced = Replacements(
        adapters=adapters,
        clock=clock,
        calendar=WeekdayCalendar(),
        passwords=passwords,
        watching=is_watching,
        streams=streams or StreamLimits(),
    )
    app = create_app(settings, replaced=replaced)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(LifespanManager(app, startup_timeout=LIMIT_SECONDS, shutdown_timeout=LIMIT_SECONDS))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://api.test"))
        http.event_hooks = {"response": [DeclaredErrors()]}
        services: Services = app.state.services
        if wait:
            await until(lambda: services.instruments.count > 0, "the instruments are loaded")
        yield Platform(app, services, http, adapters, clock)


@pytest.fixture
async def platform(database_url: str, redis_url: str) -> AsyncIterator[Platform]:
    """Without Temporal."""
    async with running(make_settings(database_url, redis_url), FakeAdapters()) as platform:
        yield platform


@pytest.fixture
async def trading(database_url: str, redis_url: str, temporal_address: str, task_queue: str) -> AsyncIterator[Platform]:
    """With Temporal; nobody polls the task queue, so workflows stay as they were started."""
    settings = make_settings(database_url, redis_url, temporal_address=temporal_address, task_queue=task_queue)
    async with running(settings, FakeAdapters()) as platform:
        yield platform
