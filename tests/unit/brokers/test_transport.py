"""The one question that matters after a failed write: may the server have heard of it? Judged by raw servers that counted."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from brokers.answers import Answered, NoAnswer, NotSent
from brokers.connections import ConnectionPool, open_socket
from brokers.transport import Transport
from tests.unit.brokers.raw_server import Connection, RawServer, eventually, raw_server, unused_port

FORM = [("tag", "t1"), ("quantity", "5")]
ORDER = b'{"price":3500.10,"quantity":5}'
# What each broker's writes look like: forms, JSON with every method, and nothing but a path.
WRITES: list[tuple[str, dict[str, Any]]] = [
    ("POST", {"form": FORM}),
    ("PUT", {"form": FORM}),
    ("DELETE", {}),
    ("POST", {"json": ORDER}),
    ("PUT", {"json": ORDER}),
    ("PATCH", {"json": ORDER}),
    ("DELETE", {"json": ORDER}),
]
ENDINGS = {"form": b"tag=t1&quantity=5", "json": ORDER}


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool(write_connections=4)
    yield pool
    await pool.close()


def transport(server: RawServer | str, pool: ConnectionPool, *, timeout_seconds: float = 5.0) -> Transport:
    url = server if isinstance(server, str) else server.url
    return Transport(base_url=url, connections=pool, timeout_seconds=timeout_seconds, headers={"Authorization": "token k:t"})


async def answer_everything(connection: Connection) -> None:
    while True:
        await connection.request()
        await connection.answer(body=b'{"ok":1}')


@pytest.mark.parametrize(("method", "content"), WRITES)
async def test_a_complete_answer_is_answered(pool: ConnectionPool, method: str, content: dict[str, Any]) -> None:
    async with raw_server(answer_everything) as server:
        result = await transport(server, pool).write(method, "/orders", **content)
    assert isinstance(result, Answered)
    assert (result.status, result.content_type, result.body) == (200, "application/json", b'{"ok":1}')
    assert b"Authorization: token k:t" in server.requests[0]
    assert server.requests[0].endswith(ENDINGS.get(next(iter(content), ""), b"\r\n\r\n"))
    assert (b"Content-Type: application/json" in server.requests[0]) == ("json" in content)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_json_body_goes_out_byte_for_byte(pool: ConnectionPool, method: str) -> None:
    async with raw_server(answer_everything) as server:
        result = await transport(server, pool).write(method, "/orders", json=b'{"price":159.10}')
    assert isinstance(result, Answered)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(f"{method} /orders ".encode())
    assert b"Content-Type: application/json" in head
    assert body == b'{"price":159.10}'


async def test_a_question_with_a_body_does_not_wait_behind_writes(pool: ConnectionPool) -> None:
    async def never(connection: Connection) -> None:
        if b"/hangs" in await connection.request():
            await asyncio.sleep(60)
        await connection.answer()

    narrow = ConnectionPool(write_connections=1)
    async with raw_server(never) as server:
        hanging = asyncio.create_task(transport(server, narrow).write("POST", "/hangs", json=b"{}"))
        await eventually(lambda: bool(server.requests))
        assert isinstance(await transport(server, narrow).ask("/quotes", json=b"{}"), Answered)
        hanging.cancel()
    await narrow.close()


async def test_a_gzipped_answer_arrives_unpacked(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(body=gzip.compress(b"plain"), headers=("Content-Encoding: gzip",))

    async with raw_server(script) as server:
        result = await transport(server, pool).read("/x")
    assert isinstance(result, Answered)
    assert result.body == b"plain"


async def test_a_refused_connection_is_not_sent(pool: ConnectionPool) -> None:
    result = await transport(f"http://127.0.0.1:{unused_port()}", pool).write("POST", "/orders", form=FORM)
    assert isinstance(result, NotSent)


async def test_a_failed_tls_handshake_is_not_sent(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.reader.read(1)
        await connection.send(b"this is not TLS")

    async with raw_server(script) as server:
        url = server.url.replace("http:", "https:")
        result = await transport(url, pool).write("POST", "/orders", form=FORM)
    assert isinstance(result, NotSent)


@pytest.mark.parametrize(("method", "content"), WRITES)
async def test_a_connection_dropped_after_the_request_is_no_answer_and_not_repeated(
    pool: ConnectionPool, method: str, content: dict[str, Any]
) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        connection.reset()

    async with raw_server(script) as server:
        result = await transport(server, pool).write(method, "/orders", **content)
    assert isinstance(result, NoAnswer)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("method", "content"), WRITES)
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_reused_connection_dropped_after_the_request_is_no_answer_and_not_repeated(
    pool: ConnectionPool, method: str, content: dict[str, Any], how: str
) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer()
        await connection.request()
        getattr(connection, how)()

    async with raw_server(script) as server:
        kite = transport(server, pool)
        assert isinstance(await kite.write("POST", "/first", form=FORM), Answered)
        result = await kite.write(method, "/second", **content)
        # A second attempt would come over a new connection.
        assert server.connections == 1
    assert isinstance(result, NoAnswer)
    assert [request.split()[1] for request in server.requests] == [b"/first", b"/second"]


async def test_a_read_is_not_repeated_either(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer()
        await connection.request()

    async with raw_server(script) as server:
        kite = transport(server, pool)
        assert isinstance(await kite.read("/first"), Answered)
        assert isinstance(await kite.read("/second"), NoAnswer)
        assert len(server.requests) == 2


async def test_a_connection_closed_at_once_is_no_answer(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        connection.close()

    async with raw_server(script) as server:
        result = await transport(server, pool).write("POST", "/orders", form=FORM)
    assert isinstance(result, NoAnswer)


async def test_silence_after_the_request_is_no_answer(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.reader.read()

    async with raw_server(script) as server:
        result = await transport(server, pool, timeout_seconds=0.2).write("POST", "/orders", form=FORM)
    assert result == NoAnswer("timed out")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "broken",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{half",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{half\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"this is not HTTP\r\n\r\n",
        b"HTTP/1.1 \x00\xff\r\n\r\n",
    ],
)
async def test_a_broken_answer_is_no_answer(pool: ConnectionPool, broken: bytes) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(broken)

    async with raw_server(script) as server:
        result = await transport(server, pool).write("POST", "/orders", form=FORM)
    assert isinstance(result, NoAnswer)
    assert len(server.requests) == 1


async def test_a_redirect_is_an_answer_and_not_followed(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer(status=307, headers=("Location: /elsewhere",))
        await answer_everything(connection)

    async with raw_server(script) as server:
        result = await transport(server, pool).write("POST", "/orders", form=FORM)
    assert isinstance(result, Answered)
    assert result.status == 307
    assert len(server.requests) == 1


@pytest.mark.parametrize(("method", "content"), WRITES)
async def test_a_check_that_says_no_keeps_every_byte_back(pool: ConnectionPool, method: str, content: dict[str, Any]) -> None:
    received: list[bytes] = []

    async def script(connection: Connection) -> None:
        received.append(await connection.reader.read())

    async with raw_server(script) as server:
        result = await transport(server, pool).write(method, "/orders", **content, may_send=lambda: False)
        assert isinstance(result, NotSent)
        assert "too late" in result.why
        await pool.close()
        await eventually(lambda: bool(received))
    assert received == [b""]


@pytest.mark.parametrize(("method", "content"), WRITES)
async def test_the_check_is_asked_once_and_only_when_a_connection_is_at_hand(method: str, content: dict[str, Any]) -> None:
    pool = ConnectionPool(write_connections=1)
    release = asyncio.Event()
    asked: list[str] = []

    async def script(connection: Connection) -> None:
        await connection.request()
        await release.wait()
        await connection.answer()
        await answer_everything(connection)

    def check() -> bool:
        asked.append("after release" if release.is_set() else "while waiting")
        return True

    async with raw_server(script) as server:
        kite = transport(server, pool)
        first = asyncio.create_task(kite.write("POST", "/first", form=FORM))
        await eventually(lambda: len(server.requests) == 1)
        second = asyncio.create_task(kite.write(method, "/second", **content, may_send=check))
        # The second is in the queue for the only connection once the first is the only one on the wire and loops have turned.
        for _ in range(20):
            await asyncio.sleep(0)
        release.set()
        assert isinstance(await first, Answered)
        assert isinstance(await second, Answered)
        await pool.close()
    assert asked == ["after release"]


async def test_waiting_in_vain_for_a_connection_is_not_sent() -> None:
    pool = ConnectionPool(write_connections=1)

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.reader.read()

    async with raw_server(script) as server:
        hung = asyncio.create_task(transport(server, pool, timeout_seconds=30).write("POST", "/first", form=FORM))
        await eventually(lambda: len(server.requests) == 1)
        result = await transport(server, pool, timeout_seconds=0.2).write("POST", "/second", form=FORM)
        assert result == NotSent("timed out")
        assert len(server.requests) == 1
        hung.cancel()
        await pool.close()


async def test_a_write_does_not_queue_behind_hung_reads() -> None:
    pool = ConnectionPool(write_connections=1, read_connections=1)

    async def script(connection: Connection) -> None:
        if (await connection.request()).startswith(b"GET"):
            await connection.reader.read()
        await connection.answer()

    async with raw_server(script) as server:
        hung = asyncio.create_task(transport(server, pool, timeout_seconds=60).read("/quote"))
        await eventually(lambda: len(server.requests) == 1)
        assert isinstance(await transport(server, pool).write("POST", "/orders", form=FORM), Answered)
        hung.cancel()
        await pool.close()


async def test_cancellation_passes_through_and_the_connection_is_not_used_again(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        if b"/first" in await connection.request():
            await connection.reader.read()
        await connection.answer(body=b"second")

    async with raw_server(script) as server:
        kite = transport(server, pool)
        first = asyncio.create_task(kite.write("POST", "/first", form=FORM))
        await eventually(lambda: len(server.requests) == 1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        second = await kite.write("POST", "/second", form=FORM)
    assert isinstance(second, Answered)
    assert second.body == b"second"
    assert server.connections == 2


async def test_warm_connections_carry_the_burst_that_follows(pool: ConnectionPool) -> None:
    waiting = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await waiting.wait()
        await connection.answer()

    async with raw_server(script) as server:
        kite = transport(server, pool)
        assert await kite.warm(1) == 1
        assert await kite.warm(3) == 3
        await eventually(lambda: server.connections == 3)
        assert await kite.warm(3) == 3
        burst = [asyncio.create_task(kite.write("POST", f"/{n}", form=FORM)) for n in range(3)]
        await eventually(lambda: len(server.requests) == 3)
        waiting.set()
        assert all(isinstance(result, Answered) for result in await asyncio.gather(*burst))
        assert server.connections == 3


async def test_what_is_kept_warm_is_replaced_before_it_grows_old() -> None:
    pool = ConnectionPool(fresh_seconds=0.2)
    async with raw_server(answer_everything) as server:
        kite = transport(server, pool)
        assert await kite.warm(2) == 2
        assert await kite.warm(2) == 2
        await eventually(lambda: server.connections == 2)
        await asyncio.sleep(0.25)
        assert await kite.warm(2) == 2
        await eventually(lambda: server.connections == 4)
        assert isinstance(await kite.write("POST", "/orders", form=FORM), Answered)
        assert server.connections == 4
    await pool.close()


async def test_warming_is_bounded_by_the_pool_and_counts_what_failed(pool: ConnectionPool) -> None:
    async with raw_server(answer_everything) as server:
        assert await transport(server, pool).warm(100) == pool.write_connections
    assert await transport(f"http://127.0.0.1:{unused_port()}", pool).warm(3) == 0


async def test_proxies_of_the_environment_are_ignored(pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    async with raw_server(answer_everything) as server:
        assert isinstance(await transport(server, pool).write("POST", "/orders", form=FORM), Answered)


async def test_cookies_are_not_kept(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.answer(headers=("Set-Cookie: session=alice; Path=/",))

    async with raw_server(script) as server:
        kite = transport(server, pool)
        await kite.write("POST", "/first", form=FORM)
        await kite.write("POST", "/second", form=FORM)
    assert len(server.requests) == 2
    assert b"cookie" not in server.requests[1].lower()


async def test_a_closed_pool_sends_nothing(pool: ConnectionPool) -> None:
    async with raw_server(answer_everything) as server:
        kite = transport(server, pool)
        assert isinstance(await kite.write("POST", "/first", form=FORM), Answered)
        await pool.close()
        assert isinstance(await kite.write("POST", "/second", form=FORM), NotSent)
    assert len(server.requests) == 1


async def test_a_header_that_cannot_be_sent_is_not_sent_and_not_shown(pool: ConnectionPool) -> None:
    async with raw_server(answer_everything) as server:
        broken = Transport(
            base_url=server.url, connections=pool, timeout_seconds=5, headers={"Authorization": "token a:secret\r\n"}
        )
        result = await broken.write("POST", "/orders", form=FORM)
    assert isinstance(result, NotSent)
    assert "secret" not in result.why
    assert server.requests == []


def test_sockets_give_up_on_unacknowledged_bytes_and_do_not_delay_small_ones() -> None:
    with open_socket((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 0))) as opened:
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5_000


def test_an_answer_does_not_show_its_body() -> None:
    assert "secret" not in repr(Answered(200, "application/json", b'{"access_token":"secret"}', {"set-cookie": "secret"}))
