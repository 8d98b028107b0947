"""Live streams, over a real server: nothing lost, nothing twice, also over a reconnect, and without Redis."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy import func, select, text, update

from api.live.event import EventKind, LiveEvent
from api.live.examples import KINDS
from api.live.hub import Admission, Reader, StreamLimits
from cache.channels import publish_run_event
from cache.prices import HotPrice, PriceCache
from execution.timeline import tell
from storage.appending import write_appended
from storage.database import Database
from storage.models import Alert, Order, ReadinessCheck, Run, Strategy, User, UserState
from storage.repositories.timeline import SettledEvents, newest_settled
from tests.api.conftest import Client, Platform, make_settings, openapi_document, running, until
from tests.api.fakes import FakeAdapters
from tests.api.rows import add_alert, add_event, add_fill, add_run
from trading.day_readiness import Verdict
from trading.instruments import InstrumentId
from trading.orders import OrderState
from trading.runs import Position, RunState, StrategyState
from trading.sessions import trading_date

LIMIT_SECONDS = 20.0


@asynccontextmanager
async def served(platform: Platform, *, send_buffer: int | None = None) -> AsyncIterator[str]:
    """The same application behind a real socket: streams cannot be read through an in-memory transport."""
    listening = socket.socket()
    if send_buffer is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
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

    async def data(self, kind: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((await self.next(kind))["data"])
        return found

    async def messages(self, number: int) -> list[str]:
        return [json.loads((await self.next())["data"])["message"] for _ in range(number)]

    async def end(self) -> list[str]:
        """The kinds of event that still came until the server closed the stream."""
        kinds = []
        async with asyncio.timeout(LIMIT_SECONDS):
            while (event := await self.events.get())["event"] != "closed":
                kinds.append(event["event"])
        return kinds


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
            if "event" in event:
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
        snapshot = await stream.data("snapshot")
        assert [one["position"] for one in snapshot["strategies"]] == ["BOUGHT"]
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


async def test_a_client_that_has_seen_more_than_this_process_is_told_nothing_twice(platform: Platform) -> None:
    """Its lines came from another process, which was ahead."""
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    async with served(platform) as base, listening(base, user, "/stream") as other:
        await other.data("snapshot")
        seen = await add_event(platform, run, "seen elsewhere")
        async with listening(base, user, "/stream", last_event_id=str(seen)) as stream:
            await other.messages(1)
            await announced(platform, run, "new")
            assert await stream.messages(1) == ["new"]


async def test_from_zero_a_stream_brings_everything_page_after_page(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    expected = [f"line {number}" for number in range(450)]
    async with platform.services.database.transaction() as session:
        for message in expected:
            tell(session, run, "test", message)
            await write_appended(session)
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
        assert "run_event" not in await stream.end()


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
        assert "run_event" not in await stream.end()


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


# --- each kind of event ------------------------------------------------------------------------------------------------


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


async def bought(platform: Platform, run: Run, *, quantity: int) -> Order:
    """An entry that is open becomes partly filled, as the desk would write it: rows first, no line, no word to anybody."""
    async with platform.services.database.transaction() as session:
        order = (await session.scalars(select(Order).where(Order.run_id == run.id))).one()
        order.state, order.filled_quantity, order.average_price = OrderState.OPEN, quantity, Decimal(3512)
        order.revision += 1
        row = await session.get_one(Run, run.id)
        row.bought, row.buy_value, row.position = quantity, quantity * Decimal(3512), Position.BOUGHT
    await add_fill(platform, order, price="3512", quantity=quantity, trade_id="T1")
    return order


async def nothing_bought(platform: Platform, user: Client, broker_id: str, tag: str) -> Run:
    """A run whose entry works at the exchange."""
    nothing: dict[str, Any] = {"bought": 0, "buy_value": Decimal(0), "position": Position.NONE, "last_action": None}
    run = await add_run(platform, user, broker_id, order_tag=tag, state=RunState.ENTERING, **nothing)
    async with platform.services.database.transaction() as session:
        working = {"state": OrderState.OPEN, "filled_quantity": 0}
        await session.execute(update(Order).where(Order.run_id == run.id).values(**working))
    return run


@pytest.mark.parametrize("is_told", [True, False], ids=["told by a hint", "found by looking"])
async def test_orders_fills_and_how_it_stands_are_events_of_their_own(platform: Platform, is_told: bool) -> None:
    user = await platform.user()
    run = await nothing_bought(platform, user, await platform.connect(user), "t1")
    async with served(platform) as base, listening(base, user, "/stream") as stream:
        assert [one["quantity"] for one in (await stream.data("snapshot"))["strategies"]] == [0]
        order = await bought(platform, run, quantity=4)
        if is_told:
            await publish_run_event(platform.services.redis, run.user_id, run.strategy_id, sequence=0)
        told = await stream.data("order")
        assert (told["order_id"], told["state"], told["filled_quantity"]) == (order.id, "open", 4)
        fill = await stream.data("fill")
        assert (fill["order_id"], fill["quantity"], fill["price"], fill["side"]) == (order.id, 4, 3512.0, "BUY")
        state = await stream.data("state")
        assert (state["strategy_id"], state["position"], state["quantity"]) == (run.strategy_id, "BOUGHT", 4)


async def test_what_was_told_once_is_not_told_again(platform: Platform) -> None:
    user = await platform.user()
    run = await nothing_bought(platform, user, await platform.connect(user), "t1")
    async with served(platform) as base, listening(base, user, "/stream") as stream:
        await stream.data("snapshot")
        await bought(platform, run, quantity=4)
        await publish_run_event(platform.services.redis, run.user_id, run.strategy_id, sequence=0)
        await stream.data("state")
        await announced(platform, run, "the end of this test")
        assert await kinds_until_line(stream) == []
        await announced(platform, run, "how it stands comes with each line")
        assert await kinds_until_line(stream) == ["state"]


async def kinds_until_line(stream: Stream) -> list[str]:
    """What comes before the next line, prices left out."""
    found = []
    async with asyncio.timeout(LIMIT_SECONDS):
        while (event := await stream.events.get())["event"] != "run_event":
            found.append(event["event"])
    return [kind for kind in found if kind != "price"]


@asynccontextmanager
async def priced(platform: Platform, price: str, *symbols: str) -> AsyncIterator[None]:
    """These have that price while the block lasts: each writing of it lives for seconds only."""
    hot = {InstrumentId("NSE", symbol): HotPrice(Decimal(price), platform.clock.now()) for symbol in symbols}

    async def keep() -> None:
        while True:
            await PriceCache(platform.services.redis).write(hot)
            await asyncio.sleep(0.5)

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_prices_come_for_what_a_running_strategy_trades_and_for_nothing_else(platform: Platform) -> None:
    user = await platform.user()
    await add_run(platform, user, await platform.connect(user))
    async with served(platform) as base, listening(base, user, "/stream") as stream:
        await stream.data("snapshot")
        for price in ("3511.05", "3512.10"):
            async with priced(platform, price, "TCS", "INFY"):
                told = await stream.data("price")
            assert (told["exchange"], told["symbol"], told["price"]) == ("NSE", "TCS", float(price))


async def test_a_finding_before_the_open_is_told_and_stands_in_the_next_snapshot(platform: Platform) -> None:
    user, other = await platform.user(), await platform.user()
    broker_id = await platform.connect(user)
    async with served(platform) as base:
        async with listening(base, user, "/stream") as stream:
            assert (await stream.data("snapshot"))["readiness"] == []
            await add_finding(platform, other, await platform.connect(other, "theirs"))
            await add_finding(platform, user, broker_id)
            told = await stream.data("readiness")
            assert (told["broker_id"], told["verdict"], told["checks"][0]["name"]) == (broker_id, "not_ready", "login")
        async with listening(base, user, "/stream") as stream:
            assert [one["broker_id"] for one in (await stream.data("snapshot"))["readiness"]] == [broker_id]


async def add_finding(platform: Platform, user: Client, broker_id: str) -> None:
    check = {"name": "login", "state": "failed", "found": "Not logged in", "advice": "Log in", "strategy_id": None}
    today = trading_date(platform.clock.now())
    async with platform.services.database.transaction() as session:
        session.add(
            ReadinessCheck(
                account_id=broker_id,
                user_id=user.user_id,
                trading_day=today,
                check_time="08:45",
                verdict=Verdict.NOT_READY,
                checks=[check],
                ticket_until=platform.clock.now(),
            )
        )


# --- whom they reach ---------------------------------------------------------------------------------------------------


async def everything_happens(platform: Platform, run: Run, mark: str) -> None:
    """One event of each kind."""
    await bought(platform, run, quantity=4)
    await add_finding(platform, Client(platform.http, {"user_id": run.user_id}), run.account_id)
    await add_alert(platform, run.user_id, key=mark)
    await announced(platform, run, mark)


ALL_KINDS = {"snapshot", "run_event", "state", "order", "fill", "price", "alert", "readiness"}


async def test_nothing_of_one_user_reaches_another(platform: Platform) -> None:
    user, other = await platform.user(), await platform.user()
    mine = await nothing_bought(platform, user, await platform.connect(user, "mine"), "t1")
    infy = await other.create(symbol="INFY")
    theirs = await add_run(platform, other, await platform.connect(other, "theirs"), symbol="INFY", strategy_id=infy)
    async with served(platform) as base, listening(base, user, "/stream") as first, listening(base, other, "/stream") as second:
        # What happens before the snapshot is in it, and is no event of its own.
        seen: dict[str, str] = {"snapshot": (await first.next("snapshot"))["data"]}
        await everything_happens(platform, mine, "secret")
        async with priced(platform, "3514", "TCS"), asyncio.timeout(LIMIT_SECONDS):
            while not seen.keys() >= ALL_KINDS:
                event = await first.events.get()
                seen[event["event"]] = event["data"]
        await announced(platform, theirs, "own")
        heard = []
        async with asyncio.timeout(LIMIT_SECONDS):
            while not heard or heard[-1]["event"] != "run_event":
                heard.append(await second.events.get())
        texts = " ".join(event["data"] for event in heard)
        assert json.loads(heard[-1]["data"])["message"] == "own"
        for of_the_other in (mine.id, mine.strategy_id, mine.account_id, user.user_id, "secret", "TCS"):
            assert of_the_other not in texts


async def test_the_stream_of_one_strategy_leaves_out_what_happens_to_others(platform: Platform) -> None:
    user = await platform.user()
    broker_id, elsewhere = await platform.connect(user, "one"), await platform.connect(user, "two")
    run = await add_run(platform, user, broker_id)
    noise = await nothing_bought(platform, user, elsewhere, "t1")
    async with platform.services.database.transaction() as session:
        await session.execute(update(Strategy).where(Strategy.id == run.strategy_id).values(account_id=broker_id))
    async with served(platform) as base, listening(base, user, f"/strategy/{run.strategy_id}/stream") as stream:
        snapshot = await stream.data("snapshot")
        assert [one["strategy_id"] for one in snapshot["strategies"]] == [run.strategy_id]
        await everything_happens(platform, noise, "noise")
        await add_finding(platform, user, broker_id)
        assert (await stream.data("readiness"))["broker_id"] == broker_id
        await announced(platform, run, "its own")
        assert await stream.messages(1) == ["its own"]
        assert stream.events.empty()


async def test_a_strategy_that_ended_while_nobody_was_there_is_told_after_the_lines_that_were_missed(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    async with served(platform) as base:
        async with listening(base, user, "/stream") as stream:
            await announced(platform, run, "seen")
            seen = (await stream.next())["id"]
        async with platform.services.database.transaction() as session:
            await session.execute(update(Strategy).where(Strategy.id == run.strategy_id).values(state=StrategyState.COMPLETED))
            await session.execute(update(Run).where(Run.id == run.id).values(state=RunState.ENDED))
        await add_event(platform, run, "missed")
        async with listening(base, user, "/stream", last_event_id=seen) as stream:
            assert (await stream.data("snapshot"))["strategies"] == []
            assert await stream.messages(1) == ["missed"]
            assert (await stream.data("state"))["run_state"] == "ended"


# --- many, and slow ones -----------------------------------------------------------------------------------------------


async def test_a_hundred_streams_of_many_users_each_bring_every_line_of_their_own(platform: Platform) -> None:
    users = [await platform.user() for _ in range(10)]
    runs = [await add_run(platform, user, await platform.connect(user, f"key{place}")) for place, user in enumerate(users)]
    async with AsyncExitStack() as stack:
        base = await stack.enter_async_context(served(platform))
        many = [
            (run, await stack.enter_async_context(listening(base, user, "/stream")))
            for user, run in zip(users, runs, strict=True)
            for _ in range(10)
        ]
        assert platform.services.hub.open_streams == 100
        for number in range(3):
            for run in runs:
                await announced(platform, run, f"{number} of {run.id}")
        for run, stream in many:
            assert await stream.messages(3) == [f"{number} of {run.id}" for number in range(3)]


async def test_a_user_holds_so_many_streams_and_no_more_and_a_closed_one_makes_room(database_url: str, redis_url: str) -> None:
    settings = make_settings(database_url, redis_url, streams_per_user=2)
    async with running(settings, FakeAdapters()) as platform, served(platform) as base:
        user, other = await platform.user(), await platform.user()
        run = await add_run(platform, user, await platform.connect(user))
        # Refused for other reasons: nothing is held.
        for _ in range(3):
            await user.refused("GET", "/stream", 400, "INVALID_CURSOR", headers={"Last-Event-ID": "nonsense"})
        async with listening(base, user, f"/strategy/{run.strategy_id}/stream"):
            async with listening(base, user, "/stream"), listening(base, other, "/stream"):
                await user.refused("GET", "/stream", 429, "TOO_MANY_STREAMS")
                await user.refused("GET", f"/strategy/{run.strategy_id}/stream", 429, "TOO_MANY_STREAMS")
            await until(lambda: platform.services.hub.open_streams == 1, "the server knows that two have left")
            async with listening(base, user, "/stream") as stream:
                await stream.data("snapshot")


async def silent_reader(base: str, user: Client) -> socket.socket:
    """A client that asks for its stream, and then takes nothing of it."""
    host, _, port = base.removeprefix("http://").partition("/")[0].partition(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, (host, int(port)))
    lines = ["GET /api/v1/stream HTTP/1.1", "Host: api.test", f"Authorization: Bearer {user.tokens['token']}", "", ""]
    await loop.sock_sendall(connection, "\r\n".join(lines).encode())
    return connection


async def test_a_reader_that_takes_nothing_is_cut_off_and_holds_nobody_else_up(database_url: str, redis_url: str) -> None:
    limits = StreamLimits(waiting=300, send_seconds=1.0)
    async with running(make_settings(database_url, redis_url), FakeAdapters(), streams=limits) as platform:
        user = await platform.user()
        run = await add_run(platform, user, await platform.connect(user))
        hub = platform.services.hub
        async with served(platform, send_buffer=4_096) as base, listening(base, user, "/stream") as stream:
            silent = await silent_reader(base, user)
            await until(lambda: hub.open_streams == 2, "both are there")
            sent, most = 0, 0
            while hub.open_streams == 2:
                await announced(platform, run, f"{sent} " + "long" * 5_000)
                assert [message.partition(" ")[0] for message in await stream.messages(1)] == [str(sent)]
                sent += 1
                most = max(most, *(reader.waiting for reader in hub.readers()))
            assert most <= limits.waiting
            silent.close()


async def test_a_reader_with_too_much_waiting_is_cut_and_its_memory_is_free_at_once() -> None:
    admission = Admission("usr_1", datetime.max.replace(tzinfo=UTC), "fam_1", None)
    reader = Reader(admission, about=None, most=3)
    for place in range(4):
        reader.offer(LiveEvent(EventKind.RUN_EVENT, b"x", sequence=place))
    assert (reader.is_over, reader.waiting) == (True, 0)
    assert await reader.take() == []


async def test_of_prices_only_the_newest_waits_for_a_reader_that_is_behind() -> None:
    admission = Admission("usr_1", datetime.max.replace(tzinfo=UTC), "fam_1", None)
    reader = Reader(admission, about=None, most=3)
    for place in range(1_000):
        reader.offer(LiveEvent(EventKind.PRICE, str(place).encode(), newest_of="NSE:TCS"))
    assert [event.wire for event in await reader.take()] == [b"999"]


# --- in the document ---------------------------------------------------------------------------------------------------


def test_every_kind_of_event_is_documented_with_a_schema_and_an_example_that_fits_it() -> None:
    document = openapi_document()
    for path in ("/api/v1/stream", "/api/v1/strategy/{strategy_id}/stream"):
        operation = document["paths"][path]["get"]
        assert set(operation["x-events"]) == {kind.value for kind in EventKind} == ALL_KINDS
        for kind, event in operation["x-events"].items():
            name = event["schema"]["$ref"].rpartition("/")[2]
            assert name in document["components"]["schemas"], kind
            assert kind in operation["responses"]["200"]["content"]["text/event-stream"]["examples"]
    for kind, (model, example) in KINDS.items():
        assert json.loads(model.model_validate(example).model_dump_json()).keys() == example.keys(), kind


# --- what is settled ---------------------------------------------------------------------------------------------------


async def settled_from_now(database: Database) -> SettledEvents:
    return SettledEvents(after=await newest_settled(database, pause_seconds=0.01))


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
    settled = await settled_from_now(database)
    async with database.transaction() as slow:
        tell(slow, run, "test", "lower, later")
        await write_appended(slow)
        await add_event(platform, run, "higher, sooner")
        assert await read_all(database, settled) == []
        assert settled.is_waiting
    await read_until(database, settled, ["lower, later", "higher, sooner"])


async def test_the_same_when_the_slow_transaction_has_begun_to_write_last(platform: Platform) -> None:
    """Transaction numbers and line numbers may be in opposite order."""
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    database = platform.services.database
    settled = await settled_from_now(database)
    async with database.transaction() as fast, database.transaction() as slow:
        await fast.execute(text("SELECT pg_current_xact_id()"))
        tell(slow, run, "test", "lower, later")
        await write_appended(slow)
        tell(fast, run, "test", "higher, sooner")
        await write_appended(fast)
        await fast.commit()
        assert await read_all(database, settled) == []
    await read_until(database, settled, ["lower, later", "higher, sooner"])


async def test_a_transaction_that_is_rolled_back_holds_nothing_up(platform: Platform) -> None:
    user = await platform.user()
    run = await add_run(platform, user, await platform.connect(user))
    database = platform.services.database
    settled = await settled_from_now(database)
    async with database.transaction() as session:
        tell(session, run, "test", "gone")
        await write_appended(session)
        await session.rollback()
    await add_event(platform, run, "stays")
    await read_until(database, settled, ["stays"])
