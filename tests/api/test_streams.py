"""Live streams, over a real server: nothing lost, nothing twice, also over a reconnect, and without Redis."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy import func, text, update

from cache.channels import publish_run_event
from execution.timeline import tell
from storage.database import Database
from storage.models import Alert, User, UserState
from storage.repositories.timeline import SettledEvents
from tests.api.conftest import Client, Platform, make_settings, running, until
from tests.api.fakes import FakeAdapters
from tests.api.rows import add_alert, add_event, add_run

LIMIT_SECONDS = 20.0


@asynccontextmanager
async def served(platform: Platform) -> AsyncIterator[str]:
    """The same application behind a real socket: streams cannot be read through an in-memory transport."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(platform.app, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    await until(lambda: server.started, "the server listens")
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api/v1"
    finally:
        server.should_exit = True
        await serving
        listening.close()


@dataclass
class Stream:
    """What has arrived so far."""

    events: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)

    async def next(self, kind: str = "run_event") -> dict[str, Any]:
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                event = await self.events.get()
                if event.get("event") == kind:
                    return event

    async def messages(self, number: int) -> list[str]:
        return [json.loads((await self.next())["data"])["message"] for _ in range(number)]

    async def end(self) -> None:
        """Returns once the server has closed the stream."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while (await self.events.get()).get("event") != "closed":
                pass


@asynccontextmanager
async def listening(base: str, user: Client, path: str, *, last_event_id: str | None = None) -> AsyncIterator[Stream]:
    """Connected once entered: whatever is written from then on arrives."""
    headers = {"Authorization": f"Bearer {user.tokens['token']}"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    stream = Stream()
    async with httpx.AsyncClient(timeout=LIMIT_SECONDS) as http, http.stream("GET", base + path, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        first = await anext(lines)
        assert first.startswith(":")
        reading = asyncio.create_task(_read(lines, stream))
        try:
            yield stream
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _read(lines: AsyncIterator[str], stream: Stream) -> None:
    event: dict[str, Any] = {}
    async for line in lines:
        if not line:
            if event:
                await stream.events.put(event)
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value
    await stream.events.put({"event": "closed"})


async def announced(platform: Platform, run: Any, message: str) -> int:
    sequence = await add_event(platform, run, message)
    await publish_run_event(platform.services.redis, run.user_id, run.strategy_id, sequence=sequence)
    return sequence


async def test_a_stream_begins_with_how_it_stands_and_brings_each_line_with_its_place(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    await add_event(platform, run, "before")
    async with served(platform) as base, listening(base, user, f"/strategy/{run.strategy_id}/stream") as stream:
        assert json.loads((await stream.next("status"))["data"])["position"] == "BOUGHT"
        sequence = await announced(platform, run, "now")
        event = await stream.next()
        assert (event["id"], json.loads(event["data"])["message"]) == (str(sequence), "now")


async def test_a_stream_resumes_after_the_last_line_the_client_saw(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    async with served(platform) as base:
        async with listening(base, user, f"/strategy/{run.strategy_id}/stream") as stream:
            await announced(platform, run, "one")
            seen = (await stream.next())["id"]
        for message in ("two", "three"):
            await add_event(platform, run, message)
        async with listening(base, user, f"/strategy/{run.strategy_id}/stream", last_event_id=seen) as stream:
            assert await stream.messages(2) == ["two", "three"]
            await announced(platform, run, "four")
            assert await stream.messages(1) == ["four"]


async def test_from_zero_a_stream_brings_everything_page_after_page(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    expected = [f"line {number}" for number in range(450)]
    async with platform.services.database.transaction() as session:
        for message in expected:
            tell(session, run, "test", message)
            await session.flush()
    async with served(platform) as base, listening(base, user, "/stream", last_event_id="0") as stream:
        assert await stream.messages(len(expected)) == expected


async def test_the_stream_of_all_brings_every_strategy_of_the_user_and_nothing_of_others(platform: Platform) -> None:
    user, other = await platform.user(), await platform.user()
    broker_id = await platform.connect(user, "mine")
    runs = [await add_run(platform, user, broker_id) for _ in range(2)]
    theirs = await add_run(platform, other, await platform.connect(other, "theirs"))
    async with served(platform) as base, listening(base, user, "/stream") as stream:
        await announced(platform, theirs, "secret")
        for run in runs:
            await announced(platform, run, run.id)
        assert await stream.messages(2) == [run.id for run in runs]


async def test_without_redis_lines_arrive_all_the_same(database_url: str) -> None:
    async with running(make_settings(database_url, "redis://127.0.0.1:9/0"), FakeAdapters()) as platform:
        user = await platform.user()
        run = await add_run(platform, user, await platform.connect(user))
        async with served(platform) as base, listening(base, user, "/stream") as stream:
            await add_event(platform, run, "seen by looking")
            assert await stream.messages(1) == ["seen by looking"]


async def test_a_stream_ends_with_its_access_token(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    async with served(platform) as base, listening(base, user, "/stream") as stream:
        platform.clock.advance(minutes=15)
        await announced(platform, run, "too late")
        await stream.end()


@pytest.mark.parametrize("how", ["suspended", "logged out"])
async def test_a_stream_ends_when_its_user_may_not_see_it_any_more(platform: Platform, how: str) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    async with served(platform) as base, listening(base, user, "/stream") as stream:
        if how == "suspended":
            async with platform.services.database.transaction() as session:
                await session.execute(update(User).values(state=UserState.SUSPENDED))
        else:
            await user.post("/auth/logout")
        await announced(platform, run, "too late")
        await stream.end()


async def test_a_stream_that_was_left_is_forgotten(platform: Platform) -> None:
    user = await platform.user()
    async with served(platform) as base:
        async with listening(base, user, "/stream") as _:
            assert platform.services.hub.open_streams == 1
        async with asyncio.timeout(LIMIT_SECONDS):
            while platform.services.hub.open_streams:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("place", ["-1", "abc", "1.5", "9" * 30, "٣"])
async def test_a_place_that_was_not_given_here_is_refused(platform: Platform, place: str) -> None:
    user = await platform.user()
    await user.refused("GET", "/stream", 400, "INVALID_CURSOR", headers={"Last-Event-ID": place.encode()})


# --- what is settled ---------------------------------------------------------------------------------------------------


async def read_all(database: Database, settled: SettledEvents) -> list[str]:
    seen: list[str] = []
    for _ in range(3):
        async with database.transaction() as session:
            seen += [event.message for event in await settled.read(session, limit=10)]
    return seen


async def read_until(database: Database, settled: SettledEvents, expected: list[str]) -> None:
    """Any transaction of the server holds a line up, also one of another test: only its coming is certain, not when."""
    seen: list[str] = []
    async with asyncio.timeout(LIMIT_SECONDS):
        while seen != expected or settled.is_waiting:
            seen += await read_all(database, settled)
            assert seen == expected[: len(seen)]


async def test_a_line_with_a_lower_number_that_is_committed_later_is_not_lost(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    database = platform.services.database
    settled = SettledEvents(user_id=user.user_id, strategy_id=None, after=0)
    async with database.transaction() as slow:
        tell(slow, run, "test", "lower, later")
        await slow.flush()
        await add_event(platform, run, "higher, sooner")
        assert await read_all(database, settled) == []
        assert settled.is_waiting
    await read_until(database, settled, ["lower, later", "higher, sooner"])


async def test_the_same_when_the_slow_transaction_has_begun_to_write_last(platform: Platform) -> None:
    """Transaction numbers and line numbers may be in opposite order."""
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    database = platform.services.database
    settled = SettledEvents(user_id=user.user_id, strategy_id=None, after=0)
    async with database.transaction() as fast, database.transaction() as slow:
        await fast.execute(text("SELECT pg_current_xact_id()"))
        tell(slow, run, "test", "lower, later")
        await slow.flush()
        tell(fast, run, "test", "higher, sooner")
        await fast.flush()
        await fast.commit()
        assert await read_all(database, settled) == []
    await read_until(database, settled, ["lower, later", "higher, sooner"])


async def test_a_transaction_that_is_rolled_back_holds_nothing_up(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    database = platform.services.database
    settled = SettledEvents(user_id=user.user_id, strategy_id=None, after=0)
    async with database.transaction() as session:
        tell(session, run, "test", "gone")
        await session.flush()
        await session.rollback()
    await add_event(platform, run, "stays")
    await read_until(database, settled, ["stays"])


async def test_the_stream_of_everything_begins_with_a_snapshot_and_tells_of_alerts(platform: Platform) -> None:
    user, other = await platform.user(), await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    before = await add_alert(platform, user.user_id, key="before")
    await add_alert(platform, other.user_id, key="theirs")
    async with served(platform) as base, listening(base, user, "/stream") as stream:
        snapshot = json.loads((await stream.next("snapshot"))["data"])
        assert [strategy["strategy_id"] for strategy in snapshot["strategies"]] == [run.strategy_id]
        assert [alert["alert_id"] for alert in snapshot["alerts"]] == [before.id]
        await add_alert(platform, other.user_id, key="theirs too")
        begun = await add_alert(platform, user.user_id, key="now")
        await announced(platform, run, "ring")
        told = json.loads((await stream.next("alert"))["data"])
        assert (told["alert_id"], told["cleared_at"]) == (begun.id, None)
        async with platform.services.database.transaction() as session:
            await session.execute(update(Alert).where(Alert.id == before.id).values(cleared_at=func.now()))
        await announced(platform, run, "ring again")
        ended = json.loads((await stream.next("alert"))["data"])
        assert (ended["alert_id"], ended["cleared_at"] is None) == (before.id, False)
