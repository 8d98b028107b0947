"""Both sockets against a small server that sends exactly what the test says."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

import brokers.lines
from brokers.angel_one import heartbeat
from brokers.angel_one.adapter import SimulatedAngelOneBroker
from brokers.angel_one.limits import LIMITS
from brokers.angel_one.stream import AngelOneTickStream
from brokers.connections import ConnectionPool
from brokers.instrument_tokens import InstrumentTokens
from brokers.urls import BrokerUrls
from tests.contract.world import SystemClock
from tests.unit.brokers.angel_one.rows import order_row
from tests.unit.brokers.angel_one.test_ticks import SECONDS, packet
from tests.unit.brokers.raw_server import Connection, eventually, raw_server, unused_port
from trading.accounts import Credentials
from trading.instruments import Instrument, InstrumentId, Segment
from trading.ports.broker import (
    BrokerRefused,
    BrokerUnavailable,
    ListedInstrument,
    SessionExpired,
    Tick,
    TickStream,
    UnreadableAnswer,
)

SBIN, INFY, ELSEWHERE = InstrumentId("NSE", "SBIN"), InstrumentId("NSE", "INFY"), InstrumentId("BSE", "SBIN")
CREDENTIALS = Credentials(
    "the-key",
    "",
    "very-secret-token",
    broker_user_id="A12345",
    refresh_token="very-secret-refresh",
    feed_token="very-secret-feed",
)
Handler = Callable[[ServerConnection], Awaitable[None]]


def listed(instrument: InstrumentId, key: str) -> ListedInstrument:
    return ListedInstrument(Instrument(instrument, instrument.symbol, Segment.CASH, Decimal("0.05")), key)


TOKENS = InstrumentTokens(
    [listed(SBIN, "NSE|3045|SBIN-EQ"), listed(INFY, "NSE|1594|INFY-EQ"), listed(ELSEWHERE, "BSE|500112|SBIN")]
)


@pytest.fixture(autouse=True)
def _quick_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.05)


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool()
    yield pool
    await pool.close()


def broker(
    url: str, pool: ConnectionPool, *, api_url: str = "", tokens: InstrumentTokens = TOKENS, silence_seconds: float = 10.0
) -> SimulatedAngelOneBroker:
    api_url = api_url or f"http://127.0.0.1:{unused_port()}"
    return SimulatedAngelOneBroker(
        account_id="a1",
        credentials=CREDENTIALS,
        urls=BrokerUrls(api_url=api_url, ws_url=url, login_url="", orders_ws_url=url),
        tokens=tokens,
        timeout_seconds=5,
        clock=SystemClock(),
        connections=pool,
        silence_seconds=silence_seconds,
    )


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0) as running:
        yield f"ws://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}/smart-stream"


async def requests_of(connection: ServerConnection, into: list[object]) -> None:
    async for message in connection:
        if message != "ping":
            into.append(json.loads(message))


async def next_tick(stream: TickStream) -> Tick:
    async with asyncio.timeout(10):
        (tick,) = await anext(aiter(stream))
        return tick


def asked(action: int, mode: int, tokens: dict[int, list[str]]) -> dict[str, object]:
    listed = [{"exchangeType": exchange, "tokens": found} for exchange, found in tokens.items()]
    return {"action": action, "params": {"mode": mode, "tokenList": listed}}


async def test_the_handshake_carries_all_four_headers_and_subscriptions_go_by_exchange(pool: ConnectionPool) -> None:
    received: list[object] = []
    headers: dict[str, str] = {}

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        headers.update({name.lower(): value for name, value in connection.request.headers.raw_items()})
        await requests_of(connection, received)

    async with server(handler) as url, broker(url, pool).ticks() as stream:
        await stream.subscribe([SBIN, ELSEWHERE, INFY])
        await stream.subscribe([SBIN])
        await stream.unsubscribe([INFY])
        await eventually(lambda: len(received) == 2)
    assert received == [asked(1, 3, {1: ["3045", "1594"], 3: ["500112"]}), asked(0, 3, {1: ["1594"]})]
    assert {name: headers[name] for name in ("authorization", "x-api-key", "x-client-code", "x-feed-token")} == {
        "authorization": "Bearer very-secret-token",
        "x-api-key": "the-key",
        "x-client-code": "A12345",
        "x-feed-token": "very-secret-feed",
    }


async def test_prices_of_subscribed_instruments_arrive_exact_and_the_rest_is_passed_over(pool: ConnectionPool) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send("pong")
        await connection.send('{"correlationID":"","errorCode":"E1001","errorMessage":"Invalid Request Payload."}')
        await connection.send(packet(token="9"))
        await connection.send(packet(exchange=3))
        await connection.send(packet(ltp=5))
        await connection.wait_closed()

    async with server(handler) as url, broker(url, pool).ticks() as stream:
        await stream.subscribe([SBIN, INFY])
        tick = await next_tick(stream)
    assert (tick.instrument, str(tick.last_price)) == (SBIN, "0.05")
    assert tick.event_time == datetime.fromtimestamp(SECONDS, UTC)


async def test_an_unknown_instrument_is_refused_by_name_after_the_others_were_asked_for(pool: ConnectionPool) -> None:
    received: list[object] = []

    async def handler(connection: ServerConnection) -> None:
        await requests_of(connection, received)

    async with server(handler) as url, broker(url, pool).ticks() as stream:
        with pytest.raises(BrokerRefused, match="NSE:NOWHERE"):
            await stream.subscribe([InstrumentId("NSE", "NOWHERE"), SBIN])
        await eventually(lambda: len(received) == 1)
    assert received == [asked(1, 3, {1: ["3045"]})]


async def test_more_than_one_connection_carries_is_spread_over_three_and_no_more(pool: ConnectionPool) -> None:
    each, connections = LIMITS.instruments_per_feed, LIMITS.feeds_per_key
    many = [listed(InstrumentId("NSE", f"S{n}"), f"NSE|{n}|S{n}-EQ") for n in range(1, each * connections + 2)]
    taken: list[int] = []

    async def handler(connection: ServerConnection) -> None:
        tokens: list[str] = []
        async for message in connection:
            if message == "ping":
                continue
            for entry in json.loads(message)["params"]["tokenList"]:
                tokens += entry["tokens"]
            taken.append(len(entry["tokens"]))
            await connection.send(packet(token=tokens[-1], ltp=int(tokens[-1])))

    async with server(handler) as url, broker(url, pool, tokens=InstrumentTokens(many)).ticks() as stream:
        await stream.subscribe([one.instrument.id for one in many[:-1]])
        with pytest.raises(BrokerRefused, match="at most 3000"):
            await stream.subscribe([many[-1].instrument.id])
        arrived = {(await next_tick(stream)).last_price for _ in range(connections)}
        assert arrived == {Decimal(each * number) / 100 for number in range(1, connections + 1)}
        await stream.unsubscribe([InstrumentId("NSE", "S1500")])
        await stream.subscribe([InstrumentId("NSE", f"S{each * connections + 1}")])
        await eventually(lambda: len(taken) == connections + 2)
    assert taken == [each] * connections + [1, 1]


async def test_the_loss_of_any_connection_ends_the_stream(pool: ConnectionPool) -> None:
    many = [listed(InstrumentId("NSE", f"S{n}"), f"NSE|{n}|S{n}-EQ") for n in range(LIMITS.instruments_per_feed + 1)]
    opened: list[ServerConnection] = []

    async def handler(connection: ServerConnection) -> None:
        opened.append(connection)
        await connection.wait_closed()

    async with server(handler) as url, broker(url, pool, tokens=InstrumentTokens(many)).ticks() as stream:
        await stream.subscribe([one.instrument.id for one in many])
        await opened[1].close()
        with pytest.raises(BrokerUnavailable, match="close code 1000"):
            await next_tick(stream)


async def test_heartbeats_are_sent_and_only_their_answers_move_the_time_last_heard(pool: ConnectionPool) -> None:
    answering = asyncio.Event()
    pings = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal pings
        async for message in connection:
            assert message == "ping"
            pings += 1
            if answering.is_set():
                await connection.send("pong")

    async with server(handler) as url, broker(url, pool).ticks() as stream:
        before = stream.last_heard_at
        await eventually(lambda: pings >= 3)
        assert stream.last_heard_at == before
        answering.set()
        await eventually(lambda: stream.last_heard_at > before)


async def test_a_connection_that_died_does_not_hide_behind_the_others(pool: ConnectionPool) -> None:
    many = [listed(InstrumentId("NSE", f"S{n}"), f"NSE|{n}|S{n}-EQ") for n in range(LIMITS.instruments_per_feed + 1)]
    opened: list[ServerConnection] = []
    answers = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal answers
        opened.append(connection)
        async for message in connection:
            if message == "ping" and connection is opened[0]:
                await connection.send("pong")
                answers += 1

    async with server(handler) as url, broker(url, pool, tokens=InstrumentTokens(many)).ticks() as stream:
        await stream.subscribe([one.instrument.id for one in many])
        # From the first answer on the other connection is the one that was heard longest ago.
        await eventually(lambda: len(opened) == 2 and answers >= 2)
        heard_at, before = stream.last_heard_at, answers
        await eventually(lambda: answers >= before + 3)
        assert stream.last_heard_at == heard_at


async def test_a_stream_that_is_left_in_the_middle_leaves_nobody_reading(
    pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brokers.lines, "_WAITING_MESSAGES", 1)
    before = asyncio.all_tasks()

    async def handler(connection: ServerConnection) -> None:
        for _ in range(5):
            await connection.send("pong")
        await connection.wait_closed()

    async with server(handler) as url:
        async with broker(url, pool).ticks() as stream:
            assert isinstance(stream, AngelOneTickStream)
            await eventually(stream.lines._arrived.full)

        def still_at_work() -> list[str]:
            names = [repr(task.get_coro()) for task in asyncio.all_tasks() - before]
            return [name for name in names if "_listen" in name or "_beat" in name]

        await eventually(lambda: not still_at_work())


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_handshake_with_a_dead_token_is_an_expired_session(pool: ConnectionPool, status: int) -> None:
    async def expired(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.answer_json({"success": False, "message": "Invalid Token", "errorCode": "AG8001", "data": ""})

    async with raw_server(expired) as api, refusing(HTTPStatus(status)) as url:
        account = broker(url, pool, api_url=api.url)
        for opening in (account.ticks(), account.order_updates()):
            with pytest.raises(SessionExpired):
                async with opening:
                    pass


async def test_a_refused_handshake_with_a_living_token_is_refused_in_the_brokers_words(pool: ConnectionPool) -> None:
    async def alive(connection: Connection) -> None:
        await connection.request()
        await connection.answer_json({"status": True, "message": "SUCCESS", "errorcode": "", "data": {"clientcode": "A12345"}})

    async with raw_server(alive) as api, refusing(HTTPStatus.UNAUTHORIZED) as url:
        with pytest.raises(BrokerRefused, match="Invalid Feed Token"):
            async with broker(url, pool, api_url=api.url).ticks():
                pass


@pytest.mark.parametrize("status", [429, 500, 502, 302])
async def test_every_other_failed_handshake_is_unavailable(pool: ConnectionPool, status: int) -> None:
    async with refusing(HTTPStatus(status)) as url:
        with pytest.raises(BrokerUnavailable):
            async with broker(url, pool).ticks():
                pass


@asynccontextmanager
async def refusing(status: HTTPStatus) -> AsyncIterator[str]:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        response = connection.respond(status, "no\n")
        response.headers["x-error-message"] = "Invalid Feed Token"
        response.headers["Location"] = "ws://127.0.0.1:9/elsewhere"
        return response

    async def never(_: ServerConnection) -> None:
        raise AssertionError("it was not refused")

    async with serve(never, "127.0.0.1", 0, process_request=refuse) as running:
        yield f"ws://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}"


async def test_no_token_is_ever_logged(pool: ConnectionPool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def handler(connection: ServerConnection) -> None:
        await connection.send(packet())
        await connection.wait_closed()

    async with server(handler) as url, broker(url, pool).ticks():
        pass
    own = [record for record in caplog.records if "server" not in record.name]
    assert "very-secret" not in " ".join(record.getMessage() for record in own)


def update(**fields: object) -> str:
    return json.dumps(
        {"user-id": "A12345", "status-code": "200", "order-status": "AB01", "error-message": "", "orderData": fields}
    )


async def test_order_updates_are_read_and_what_only_greets_is_passed_over(pool: ConnectionPool) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(json.dumps({"user-id": "A12345", "status-code": "200", "order-status": "AB00", "orderData": {}}))
        await connection.send(update().replace("AB01", "AB00"))
        await connection.send("pong")
        await connection.send(update(**order_row()))
        # The documentation's own sample calls a rejected order connected.
        await connection.send(update(**order_row(orderstatus="rejected", text="no")).replace("AB01", "AB00").encode())
        await connection.wait_closed()

    async with server(handler) as url, broker(url, pool).order_updates() as updates:
        async with asyncio.timeout(10):
            first, second = await anext(updates), await anext(updates)
    assert (first.tag, first.filled_quantity) == ("st1a2b3c", 1)
    assert second.message == "no"


@pytest.mark.parametrize(
    "message", ["{", "[]", "hello", update(), update(orderid="1"), update(**order_row(orderstatus="news")), "null", b"\x00"]
)
async def test_an_update_that_cannot_be_read_is_unreadable(pool: ConnectionPool, message: str | bytes) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(message)
        await connection.wait_closed()

    async with server(handler) as url, broker(url, pool).order_updates() as updates:
        with pytest.raises(UnreadableAnswer):
            await anext(updates)


async def test_updates_without_even_an_answered_heartbeat_are_unavailable(pool: ConnectionPool) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with server(handler) as url, broker(url, pool, silence_seconds=0.2).order_updates() as updates:
        with pytest.raises(BrokerUnavailable, match="silent"):
            await anext(updates)


async def test_answered_heartbeats_keep_quiet_updates_going(pool: ConnectionPool) -> None:
    answered = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal answered
        async for _ in connection:
            await connection.send("pong")
            answered += 1
            if answered == 20:
                await connection.send(update(**order_row()))

    async with server(handler) as url, broker(url, pool, silence_seconds=0.9).order_updates() as updates:
        async with asyncio.timeout(30):
            assert (await anext(updates)).tag == "st1a2b3c"
