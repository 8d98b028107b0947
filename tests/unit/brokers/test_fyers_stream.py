"""The two sockets against a small server that sends exactly what the test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from http import HTTPStatus

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from brokers.connections import ConnectionPool
from brokers.fyers import frames
from brokers.fyers.adapter import SimulatedFyersBroker
from brokers.fyers.ticks import NO_VALUE
from brokers.instrument_tokens import InstrumentTokens
from tests.unit.brokers.clock import HeldClock
from tests.unit.brokers.raw_server import Connection, eventually, raw_server
from tests.unit.brokers.test_fyers_adapter import urls_of
from tests.unit.brokers.test_fyers_login import PROFILE
from tests.unit.brokers.test_fyers_session import jwt
from tests.unit.brokers.test_fyers_shapes import socket_row
from tests.unit.brokers.test_fyers_ticks import TOPIC, data, lite, sbin, snapshot, update
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

SBIN = InstrumentId("NSE", "SBIN")
TOKENS = InstrumentTokens(
    [ListedInstrument(Instrument(SBIN, "SBIN", Segment.CASH, Decimal("0.05")), "NSE:SBIN-EQ|10100000003045")]
)
TOKEN = jwt(hsm_key="5defeeb4", fy_id="XA00001")
ACCEPTED = b"\x00\x12\x01\x02\x01\x00\x01K\x02\x00\x04\x00\x00\x00\x00"
Handler = Callable[[ServerConnection], Awaitable[None]]


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool()
    yield pool
    await pool.close()


def broker(
    ws_url: str, pool: ConnectionPool, *, root: str = "http://127.0.0.1:1", token: str = TOKEN, timeout: float = 5
) -> SimulatedFyersBroker:
    return SimulatedFyersBroker(
        account_id="a1",
        credentials=Credentials("ABCDEFGHIJ-200", "secret", token),
        urls=replace(urls_of(root), ws_url=ws_url, orders_ws_url=ws_url),
        tokens=TOKENS,
        timeout_seconds=timeout,
        clock=HeldClock(),
        connections=pool,
        silence_seconds=0.3,
    )


@asynccontextmanager
async def server_of(handler: Handler, refusal: HTTPStatus | None = None) -> AsyncIterator[str]:
    def refuse(connection: ServerConnection, _: Request) -> Response | None:
        return connection.respond(refusal, "no") if refusal else None

    async with serve(handler, "127.0.0.1", 0, process_request=refuse) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/hsm/v1-5/prod"


@asynccontextmanager
async def account_server(answer: object, status: int = 200) -> AsyncIterator[str]:
    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.answer_json(answer, status=status)

    async with raw_server(script) as server:
        yield server.url


def feed(*sent: bytes, heard: list[bytes] | None = None, reply: bytes = ACCEPTED) -> Handler:
    """Takes the key, answers with everything to the first subscription, and listens on."""

    async def handler(connection: ServerConnection) -> None:
        async for message in connection:
            assert isinstance(message, bytes)
            if heard is not None:
                heard.append(message)
            if message[2] == frames.AUTH:
                await connection.send(reply)
            if message[2] == frames.SUBSCRIBE:
                for one in sent:
                    await connection.send(one)

    return handler


async def ticks_of(stream: TickStream, count: int) -> list[Tick]:
    found: list[Tick] = []
    async with asyncio.timeout(10):
        async for batch in stream:
            found.extend(batch)
            if len(found) >= count:
                break
    return found


async def test_the_key_is_shown_first_and_prices_arrive_exact(pool: ConnectionPool) -> None:
    heard: list[bytes] = []
    same = [NO_VALUE] * 20
    sent = [data(snapshot(sbin()), update([106850, *same])), data(lite(106795))]
    async with server_of(feed(*sent, heard=heard)) as url, broker(url, pool).ticks() as stream:
        await stream.subscribe([SBIN])
        found = await ticks_of(stream, 3)
    assert [str(tick.last_price) for tick in found] == ["1068.45", "1068.50", "1067.95"]
    assert {tick.instrument for tick in found} == {SBIN}
    kinds = [message[2] for message in heard]
    assert kinds[0] == frames.AUTH
    assert b"5defeeb4" in heard[0]
    assert TOPIC.encode() in heard[kinds.index(frames.SUBSCRIBE)]
    assert heard[kinds.index(frames.MODE)][-1] == frames.FULL_MODE


async def test_a_connection_is_kept_open_with_a_frame_of_its_own(pool: ConnectionPool) -> None:
    heard: list[bytes] = []
    async with server_of(feed(heard=heard)) as url, broker(url, pool).ticks():
        await eventually(lambda: frames.PING in heard)


async def test_data_frames_are_acknowledged_as_often_as_the_server_wants(pool: ConnectionPool) -> None:
    heard: list[bytes] = []
    wanted = ACCEPTED[:-1] + b"\x02"
    sent = [data(snapshot(sbin()), number=11), *(data(lite(106795), number=number) for number in (12, 13, 14, 15))]
    async with server_of(feed(*sent, heard=heard, reply=wanted)) as url, broker(url, pool).ticks() as stream:
        await stream.subscribe([SBIN])
        await ticks_of(stream, 5)
        await eventually(lambda: sum(message[2] == frames.ACKNOWLEDGE for message in heard) == 2)
    assert [int.from_bytes(message[-4:], "big") for message in heard if message[2] == frames.ACKNOWLEDGE] == [12, 14]


async def test_what_was_unsubscribed_is_nobodys(pool: ConnectionPool) -> None:
    other = snapshot(sbin(last_price=5), topic="sf|nse_cm|1", topic_id=8)
    async with server_of(feed(data(other, snapshot(sbin())))) as url, broker(url, pool).ticks() as stream:
        await stream.subscribe([SBIN])
        assert [str(tick.last_price) for tick in await ticks_of(stream, 1)] == ["1068.45"]
        await stream.unsubscribe([SBIN])


async def test_an_unknown_instrument_is_named_after_the_others_were_asked_for(pool: ConnectionPool) -> None:
    async with server_of(feed(data(snapshot(sbin())))) as url, broker(url, pool).ticks() as stream:
        with pytest.raises(BrokerRefused, match="NSE:NOWHERE"):
            await stream.subscribe([InstrumentId("NSE", "NOWHERE"), SBIN])
        assert len(await ticks_of(stream, 1)) == 1


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b"\x00\x06\x04\x01\x01\x00\x01E", BrokerUnavailable),
        (data(b"\x01\x02\x03\x04"), UnreadableAnswer),
        (b"\x00", UnreadableAnswer),
    ],
)
async def test_a_feed_that_cannot_be_trusted_ends(pool: ConnectionPool, frame: bytes, error: type[Exception]) -> None:
    async with server_of(feed(frame)) as url, broker(url, pool).ticks() as stream:
        await stream.subscribe([SBIN])
        with pytest.raises(error):
            await ticks_of(stream, 1)


async def test_words_and_frames_nobody_needs_do_not_end_the_feed(pool: ConnectionPool) -> None:
    words = b"\x00\x09\x33\x01\x01\x00\x04" + (51001).to_bytes(4, "big")
    async with server_of(feed(words, b"\x00\x02\x0d\x00", data(snapshot(sbin())))) as url, broker(url, pool).ticks() as stream:
        await stream.subscribe([SBIN])
        assert len(await ticks_of(stream, 1)) == 1


async def silent(connection: ServerConnection) -> None:
    await connection.wait_closed()


@pytest.mark.parametrize("handler", [feed(reply=b"\x00\x06\x01\x01\x01\x00\x01E"), silent], ids=["refused", "ignored"])
async def test_a_key_that_a_dead_token_carries_is_found_out(pool: ConnectionPool, handler: Handler) -> None:
    answer = {"s": "error", "code": -16, "message": "dead"}
    async with account_server(answer, 401) as root, server_of(handler) as url:
        with pytest.raises(SessionExpired):
            async with broker(url, pool, root=root, timeout=1).ticks():
                pass


async def test_a_living_token_whose_key_is_refused_may_not_see_prices(pool: ConnectionPool) -> None:
    async with account_server(PROFILE) as root, server_of(feed(reply=b"\x00\x06\x01\x01\x01\x00\x01E")) as url:
        with pytest.raises(BrokerRefused):
            async with broker(url, pool, root=root).ticks():
                pass


async def test_a_server_that_does_not_answer_to_a_living_token_is_given_its_chance(pool: ConnectionPool) -> None:
    async def handler(connection: ServerConnection) -> None:
        async for message in connection:
            if message[2] == frames.SUBSCRIBE:
                await connection.send(data(snapshot(sbin())))

    async with account_server(PROFILE) as root, server_of(handler) as url:
        account = broker(url, pool, root=root, timeout=1)
        async with account.ticks() as stream:
            await stream.subscribe([SBIN])
            assert [str(tick.last_price) for tick in await ticks_of(stream, 1)] == ["1068.45"]


async def test_a_token_without_a_key_is_not_shown_to_the_feed(pool: ConnectionPool) -> None:
    async with account_server({"s": "error", "code": -8, "message": "expired"}, 401) as root:
        with pytest.raises(SessionExpired):
            async with broker("ws://127.0.0.1:1", pool, root=root, token="opaque").ticks():
                pass


async def test_orders_are_told_and_pongs_keep_the_silence_away(pool: ConnectionPool) -> None:
    async def handler(connection: ServerConnection) -> None:
        async for message in connection:
            if message == "ping":
                await connection.send("pong")
            elif isinstance(message, str) and json.loads(message) == {"T": "SUB_ORD", "SLIST": ["orders"], "SUB_T": 1}:
                await connection.send('{"code":1605,"message":"Successfully subscribed","s":"ok"}')
                await connection.send('{"s":"ok","trades":{"id":"1"}}')
                await connection.send(json.dumps({"s": "ok", "orders": socket_row(org_ord_status=2)}, default=float))
                done = socket_row(org_ord_status=2, qty_filled=5, price_traded=801.35)
                await connection.send(json.dumps({"s": "ok", "orders": done}, default=float))

    async with server_of(handler) as url, broker(url, pool).order_updates() as updates:
        order = await anext(updates)
        assert (order.tag, order.filled_quantity, str(order.average_price)) == ("st1a2b3c4d", 5, "801.35")


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ('{"s":"error","code":-300,"message":"no"}', BrokerUnavailable),
        ("{", UnreadableAnswer),
        ("[]", UnreadableAnswer),
        ('{"s":"ok","orders":{"org_ord_status":90}}', UnreadableAnswer),
        (None, BrokerUnavailable),
    ],
)
async def test_updates_that_end_or_fall_silent_say_so(pool: ConnectionPool, message: str | None, error: type[Exception]) -> None:
    async def handler(connection: ServerConnection) -> None:
        if message is not None:
            await connection.send(message)
        await connection.wait_closed()

    async with server_of(handler) as url, broker(url, pool).order_updates() as updates:
        with pytest.raises(error):
            await anext(updates)


@pytest.mark.parametrize(
    ("status", "answer", "answered", "error"),
    [
        (HTTPStatus.FORBIDDEN, {"s": "error", "code": -16, "message": "dead"}, 401, SessionExpired),
        (HTTPStatus.FORBIDDEN, PROFILE, 200, BrokerRefused),
        (HTTPStatus.NOT_FOUND, PROFILE, 200, BrokerUnavailable),
        (HTTPStatus.BAD_GATEWAY, PROFILE, 200, BrokerUnavailable),
    ],
)
async def test_a_refused_handshake_is_told_apart(
    pool: ConnectionPool, status: HTTPStatus, answer: object, answered: int, error: type[Exception]
) -> None:
    async with account_server(answer, answered) as root, server_of(silent, status) as url:
        with pytest.raises(error):
            async with broker(url, pool, root=root).order_updates():
                pass
