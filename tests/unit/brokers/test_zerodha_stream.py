"""The ticker socket against a small server that sends exactly what the test says."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from brokers.connections import ConnectionPool
from brokers.instrument_tokens import InstrumentTokens
from brokers.urls import BrokerUrls
from brokers.zerodha.adapter import SimulatedZerodhaBroker
from brokers.zerodha.limits import LIMITS
from brokers.zerodha.stream import open_updates, order_updates
from tests.unit.brokers.clock import HeldClock
from tests.unit.brokers.raw_server import Connection, eventually, raw_server, unused_port
from tests.unit.brokers.test_ticks import PUBLIC_QUOTE, frame, number
from tests.unit.brokers.test_zerodha_shapes import row
from trading.accounts import Credentials
from trading.instruments import Instrument, InstrumentId, Segment
from trading.orders import BrokerOrder
from trading.ports.broker import (
    BrokerRefused,
    BrokerUnavailable,
    ListedInstrument,
    SessionExpired,
    Tick,
    TickStream,
    UnreadableAnswer,
)

INFY, SBIN, USDINR = InstrumentId("NSE", "INFY"), InstrumentId("NSE", "SBIN"), InstrumentId("CDS", "USDINR26AUGFUT")
CREDENTIALS = Credentials(api_key="key", api_secret="secret", access_token="very-secret-token")
Handler = Callable[[ServerConnection], Awaitable[None]]


def listed(instrument: InstrumentId, token: int) -> ListedInstrument:
    return ListedInstrument(Instrument(instrument, instrument.symbol, Segment.CASH, Decimal("0.05")), str(token))


TOKENS = InstrumentTokens([listed(INFY, 408065), listed(SBIN, 779521), listed(USDINR, 274179)])


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool()
    yield pool
    await pool.close()


def broker(ws_url: str, pool: ConnectionPool, *, api_url: str = "", silence_seconds: float = 10.0) -> SimulatedZerodhaBroker:
    return SimulatedZerodhaBroker(
        account_id="a1",
        credentials=CREDENTIALS,
        urls=BrokerUrls(api_url or f"http://127.0.0.1:{unused_port()}", ws_url, ""),
        tokens=TOKENS,
        timeout_seconds=5,
        clock=HeldClock(),
        connections=pool,
        silence_seconds=silence_seconds,
    )


@asynccontextmanager
async def ticker(handler: Handler) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0) as server:
        yield url_of(server)


def url_of(server: Server) -> str:
    return f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def next_batch(stream: TickStream) -> list[Tick]:
    return list(await anext(aiter(stream)))


def ltp(token: int, raw: int) -> bytes:
    return number(token) + number(raw)


async def test_subscribing_asks_for_the_tokens_and_then_for_the_mode(pool: ConnectionPool) -> None:
    received: list[object] = []

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        received.append(connection.request.path)
        async for message in connection:
            received.append(json.loads(message))

    async with ticker(handler) as url, broker(url, pool).ticks() as stream:
        await stream.subscribe([INFY, SBIN])
        await stream.unsubscribe([SBIN, USDINR])
        await eventually(lambda: len(received) == 4)
    assert received == [
        "/?api_key=key&access_token=very-secret-token",
        {"a": "subscribe", "v": [408065, 779521]},
        {"a": "mode", "v": ["full", [408065, 779521]]},
        {"a": "unsubscribe", "v": [779521]},
    ]


async def test_prices_of_subscribed_instruments_arrive_exact_and_the_rest_is_passed_over(pool: ConnectionPool) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(b"\x00")
        await connection.send(json.dumps({"type": "instruments_meta", "data": {}}))
        full = PUBLIC_QUOTE + number(1_700_000_000) + bytes(136)
        await connection.send(frame(full, ltp(779521, 81_005), ltp(274179, 835_025_000)))
        await connection.wait_closed()

    async with ticker(handler) as url, broker(url, pool).ticks() as stream:
        await stream.subscribe([INFY, USDINR])
        assert await next_batch(stream) == [
            Tick(INFY, Decimal("1573.15"), HeldClock.NOW, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
            Tick(USDINR, Decimal("83.5025"), HeldClock.NOW, None),
        ]


async def test_an_unknown_instrument_is_refused_by_name_after_the_others_were_asked_for(pool: ConnectionPool) -> None:
    received: list[object] = []

    async def handler(connection: ServerConnection) -> None:
        async for message in connection:
            received.append(json.loads(message))

    async with ticker(handler) as url, broker(url, pool).ticks() as stream:
        with pytest.raises(BrokerRefused, match="NSE:NOWHERE"):
            await stream.subscribe([INFY, InstrumentId("NSE", "NOWHERE")])
        await eventually(lambda: len(received) == 2)
    assert received[0] == {"a": "subscribe", "v": [408065]}


async def test_more_instruments_than_a_connection_carries_are_refused(pool: ConnectionPool) -> None:
    many = [listed(InstrumentId("NSE", f"S{n}"), n * 256 + 1) for n in range(1, LIMITS.instruments_per_feed + 2)]

    async def handler(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with ticker(handler) as url:
        account = broker(url, pool)
        account._tokens = InstrumentTokens(many)
        async with account.ticks() as stream:
            await stream.subscribe([entry.instrument.id for entry in many[:-1]])
            with pytest.raises(BrokerRefused, match="3000"):
                await stream.subscribe([many[-1].instrument.id])


async def test_a_heartbeat_moves_the_time_last_heard_and_silence_does_not(pool: ConnectionPool) -> None:
    beat = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        await beat.wait()
        await connection.send(b"\x00")
        await connection.recv()
        await connection.send(frame(ltp(408065, 100)))
        await connection.wait_closed()

    async with ticker(handler) as url:
        account = broker(url, pool)
        clock = account._clock
        assert isinstance(clock, HeldClock)
        async with account.ticks() as stream:
            assert stream.last_heard_at == clock.monotonic()
            clock.seconds += 7
            waiting = asyncio.create_task(next_batch(stream))
            beat.set()
            await eventually(lambda: stream.last_heard_at == clock.monotonic())
            clock.seconds += 7
            assert stream.last_heard_at == clock.monotonic() - 7
            await stream.subscribe([INFY])
            assert (await waiting)[0].last_price == 1


@pytest.mark.parametrize("politely", [True, False])
async def test_a_lost_connection_raises_from_the_iteration_and_from_subscribing(pool: ConnectionPool, politely: bool) -> None:
    async def handler(connection: ServerConnection) -> None:
        if politely:
            await connection.close()
        else:
            connection.transport.abort()

    async with ticker(handler) as url, broker(url, pool).ticks() as stream:
        with pytest.raises(BrokerUnavailable):
            await next_batch(stream)
        with pytest.raises(BrokerUnavailable):
            await stream.subscribe([INFY])


async def test_a_damaged_frame_is_unreadable(pool: ConnectionPool) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(b"\x00\x02\x00\x08")
        await connection.wait_closed()

    async with ticker(handler) as url, broker(url, pool).ticks() as stream:
        with pytest.raises(UnreadableAnswer):
            await next_batch(stream)


async def test_nobody_listening_is_unavailable(pool: ConnectionPool) -> None:
    with pytest.raises(BrokerUnavailable):
        async with broker(f"ws://127.0.0.1:{unused_port()}", pool).ticks():
            pass


@asynccontextmanager
async def refusing_ticker(status: HTTPStatus, *, location: str = "") -> AsyncIterator[str]:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        response = connection.respond(status, "no\n")
        if location:
            response.headers["Location"] = location
        return response

    async def handler(_: ServerConnection) -> None:
        raise AssertionError("nobody gets this far")

    async with serve(handler, "127.0.0.1", 0, process_request=refuse) as server:
        yield url_of(server)


@pytest.mark.parametrize("status", [HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.NOT_FOUND])
async def test_a_refused_handshake_is_unavailable(pool: ConnectionPool, status: HTTPStatus) -> None:
    async with refusing_ticker(status) as url:
        with pytest.raises(BrokerUnavailable, match=str(status.value)):
            async with broker(url, pool).order_updates():
                pass


async def test_a_redirect_of_the_ticker_is_not_followed(pool: ConnectionPool) -> None:
    async def elsewhere(connection: Connection) -> None:
        await connection.request()

    async with raw_server(elsewhere) as other:
        async with refusing_ticker(HTTPStatus.FOUND, location=other.url.replace("http", "ws")) as url:
            with pytest.raises(BrokerUnavailable, match="302"):
                async with broker(url, pool).ticks():
                    pass
        assert other.connections == 0


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (403, {"status": "error", "message": "Incorrect token.", "error_type": "TokenException"}, SessionExpired),
        (200, {"status": "success", "data": {"user_id": "AB1234", "user_name": "A B"}}, BrokerRefused),
        (503, {"status": "error", "message": "down", "error_type": "NetworkException"}, BrokerUnavailable),
    ],
)
async def test_a_forbidden_ticker_is_explained_by_asking_for_the_profile(
    pool: ConnectionPool, status: int, body: dict[str, object], error: type[Exception]
) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer_json(body, status=status)

    async with raw_server(script) as rest, refusing_ticker(HTTPStatus.FORBIDDEN) as url:
        with pytest.raises(error):
            async with broker(url, pool, api_url=rest.url).ticks():
                pass
    assert rest.requests[0].startswith(b"GET /user/profile")


async def test_proxies_of_the_environment_are_ignored(pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    async def handler(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with ticker(handler) as url, broker(url, pool).ticks() as stream:
        assert stream.last_heard_at


async def first_update(updates: AsyncIterator[BrokerOrder]) -> BrokerOrder:
    return await anext(updates)


async def test_order_updates_are_read_and_everything_else_is_passed_over(pool: ConnectionPool) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(b"\x00")
        await connection.send(frame(ltp(408065, 100)))
        await connection.send(json.dumps({"type": "message", "data": "hello"}))
        update = row(price=159, average_price=0, status="UPDATE", filled_quantity=1, tag="t1", unfilled_quantity=2, checksum="")
        await connection.send(json.dumps({"type": "order", "data": update}))
        await connection.wait_closed()

    async with ticker(handler) as url, broker(url, pool).order_updates() as updates:
        order = await first_update(updates)
    assert (order.tag, order.filled_quantity, order.quantity) == ("t1", 1, 3)


@pytest.mark.parametrize("message", ["junk", "[]", json.dumps({"type": "order", "data": {"order_id": "1"}})])
async def test_an_unreadable_update_raises(pool: ConnectionPool, message: str) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(message)
        await connection.wait_closed()

    async with ticker(handler) as url, broker(url, pool).order_updates() as updates:
        with pytest.raises(UnreadableAnswer):
            await first_update(updates)


async def test_order_updates_without_even_a_heartbeat_are_unavailable(pool: ConnectionPool) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with ticker(handler) as url, broker(url, pool, silence_seconds=0.05).order_updates() as updates:
        with pytest.raises(BrokerUnavailable, match="silent"):
            await first_update(updates)


async def test_heartbeats_keep_order_updates_alive_and_wake_nobody(pool: ConnectionPool) -> None:
    async def handler(connection: ServerConnection) -> None:
        for _ in range(20):
            await connection.send(b"\x00")
            await asyncio.sleep(0.05)
        await connection.send(json.dumps({"type": "order", "data": row(price=159, average_price=0, tag="t1")}))
        await connection.send(json.dumps({"type": "message", "data": "hello"}))
        await connection.wait_closed()

    async with ticker(handler) as url:
        connection = await open_updates(url, credentials=CREDENTIALS, open_seconds=5)
        order = await first_update(order_updates(connection, silence_seconds=0.5))
        assert order.tag == "t1"
        await connection.close()
        # What waits is what would wake whoever listens.
        connection = await open_updates(url, credentials=CREDENTIALS, open_seconds=5)
        assert json.loads(await connection.recv())["type"] == "order"
        await connection.close()


async def test_lost_order_updates_are_unavailable(pool: ConnectionPool) -> None:
    async def handler(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with ticker(handler) as url, broker(url, pool).order_updates() as updates:
        with pytest.raises(BrokerUnavailable):
            await first_update(updates)


async def test_the_token_in_the_url_reaches_no_log_and_no_error(pool: ConnectionPool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("websockets.server").setLevel(logging.INFO)  # the server half belongs to this test, not to us

    async def handler(connection: ServerConnection) -> None:
        await connection.send(frame(ltp(408065, 100)))
        await connection.wait_closed()

    messages: list[str] = []
    async with ticker(handler) as url, broker(url, pool).ticks() as stream:
        await stream.subscribe([INFY])
        await next_batch(stream)
    for bad_url in (f"ws://127.0.0.1:{unused_port()}", "http://127.0.0.1:1", "ws://"):
        with pytest.raises(BrokerUnavailable) as caught:
            async with broker(bad_url, pool).ticks():
                pass
        messages.append(str(caught.value))
        assert caught.value.__suppress_context__
    assert "very-secret-token" not in caplog.text + "".join(messages)
