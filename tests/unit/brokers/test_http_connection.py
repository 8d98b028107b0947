"""What servers may legally answer, and what they do besides: each against a raw server, byte by byte."""

import asyncio
import datetime as dt
import gc
import ipaddress
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from brokers.answers import Answered, NoAnswer, NotSent
from brokers.connections import ConnectionPool
from brokers.http_connection import HttpConnection
from brokers.transport import Transport
from tests.unit.brokers.raw_server import Connection, RawServer, Script, eventually, raw_server

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


Served = Callable[[Script], AbstractAsyncContextManager[RawServer]]


@pytest.fixture(scope="session")
def own_certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"), name="127.0.0.1")


@pytest.fixture(params=["http", "https"])
def served(request: pytest.FixtureRequest, own_certificate: tuple[Path, Path]) -> Served:
    """Runs a script for each connection, with and without TLS."""
    return partial(raw_server, tls=server_side(*own_certificate) if request.param == "https" else None)


@pytest.fixture
async def pool(own_certificate: tuple[Path, Path]) -> AsyncIterator[ConnectionPool]:
    pool = trusting(own_certificate[0])
    yield pool
    await pool.close()


def trusting(certificate_file: Path, *, idle_seconds: float = 50.0) -> ConnectionPool:
    return ConnectionPool(trust=lambda: ssl.create_default_context(cafile=str(certificate_file)), idle_seconds=idle_seconds)


def server_side(certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    return context


def transport(server: RawServer, pool: ConnectionPool, *, path: str = "") -> Transport:
    return Transport(base_url=server.url + path, connections=pool, timeout_seconds=5)


async def ask_twice(served: Served, pool: ConnectionPool, first: bytes) -> tuple[RawServer, list[object]]:
    """Two requests, one after the other; the first is answered with exactly these bytes."""
    answers = [first]

    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.send(answers.pop(0) if answers else OK)

    async with served(script) as server:
        broker = transport(server, pool)
        return server, [await broker.read("/first"), await broker.read("/second")]


WHOLE = {
    "with a length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nDate: now\r\n\r\n",
    "after an interim answer": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "by an old server that keeps alive": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE.keys())
async def test_an_answer_is_whole_however_it_is_framed_and_its_connection_used_again(
    served: Served, pool: ConnectionPool, answer: bytes
) -> None:
    server, (first, second) = await ask_twice(served, pool, answer)
    assert isinstance(first, Answered)
    assert (first.status, first.body) == (200, b"hello")
    assert isinstance(second, Answered)
    assert server.connections == 1


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE.keys())
async def test_an_answer_may_come_byte_by_byte(served: Served, pool: ConnectionPool, answer: bytes) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        for place in range(len(answer)):
            await connection.send(answer[place : place + 1])
            await asyncio.sleep(0)

    async with served(script) as server:
        result = await transport(server, pool).read("/x")
    assert isinstance(result, Answered)
    assert result.body == b"hello"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_body_may_end_with_its_connection(served: Served, pool: ConnectionPool, version: bytes) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/" + version + b" 200 OK\r\nContent-Type: text/csv; charset=UTF-8\r\n\r\nhello")

    async with served(script) as server:
        broker = transport(server, pool)
        first, second = await broker.read("/x"), await broker.read("/y")
    for result in (first, second):
        assert isinstance(result, Answered)
        assert (result.content_type, result.body) == ("text/csv", b"hello")
    assert server.connections == 2


async def test_a_body_without_a_length_that_is_reset_is_no_answer(served: Served, pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\nhel")
        connection.reset()

    async with served(script) as server:
        assert isinstance(await transport(server, pool).read("/x"), NoAnswer)


NOT_USED_AGAIN = {
    "it says so": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    "an old server": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "a second answer to one request": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" + OK,
    "bytes after the answer": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more",
}


@pytest.mark.parametrize("answer", NOT_USED_AGAIN.values(), ids=NOT_USED_AGAIN.keys())
async def test_a_connection_that_ends_or_is_odd_carries_no_second_request(
    served: Served, pool: ConnectionPool, answer: bytes
) -> None:
    server, (_, second) = await ask_twice(served, pool, answer)
    assert isinstance(second, Answered)
    assert second.body == b"{}"
    assert server.connections == 2


async def test_a_connection_that_speaks_while_it_idles_is_not_used_again(served: Served, pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        if server.connections == 1:
            await spoken.wait()
            await connection.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            closed.append(await connection.reader.read())

    spoken, closed = asyncio.Event(), list[bytes]()
    async with served(script) as server:
        broker = transport(server, pool)
        assert isinstance(await broker.read("/first"), Answered)
        spoken.set()
        await eventually(lambda: bool(closed))
        second = await broker.read("/second")
    assert isinstance(second, Answered)
    assert second.status == 200
    assert server.connections == 2


async def test_a_closed_connection_is_freed_without_a_search_for_garbage(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        await connection.reader.read()

    def alive() -> int:
        return sum(isinstance(each, HttpConnection) for each in gc.get_objects())

    gc.collect()
    before = alive()
    async with raw_server(script) as server:
        lane = transport(server, pool)
        assert isinstance(await lane.read("/first"), Answered)
        assert alive() == before + 1
        gc.disable()
        try:
            await pool.close()
            await eventually(lambda: alive() == before)
        finally:
            gc.enable()


async def test_an_upgrade_nobody_asked_for_is_no_answer(served: Served, pool: ConnectionPool) -> None:
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    _, (first, second) = await ask_twice(served, pool, answer)
    assert isinstance(first, NoAnswer)
    assert isinstance(second, Answered)


async def test_an_idle_connection_is_closed_by_us_first(served: Served, own_certificate: tuple[Path, Path]) -> None:
    closed: list[bytes] = []

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        closed.append(await connection.reader.read())

    pool = trusting(own_certificate[0], idle_seconds=0.05)
    async with served(script) as server:
        assert isinstance(await transport(server, pool).read("/x"), Answered)
        await eventually(lambda: closed == [b""])
    await pool.close()


@pytest.mark.parametrize("packed", [zlib.compress(b"plain"), zlib.compress(b"plain", wbits=-15)], ids=["zlib", "raw"])
async def test_both_kinds_of_deflate_arrive_unpacked(served: Served, pool: ConnectionPool, packed: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    _, (first, _) = await ask_twice(served, pool, head + packed)
    assert isinstance(first, Answered)
    assert first.body == b"plain"


async def test_a_coding_nobody_asked_for_is_no_answer(served: Served, pool: ConnectionPool) -> None:
    _, (first, _) = await ask_twice(served, pool, b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx")
    assert isinstance(first, NoAnswer)
    assert "coding" in first.why


async def test_addresses_go_out_as_brokers_document_them(served: Served, pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.send(OK)

    async with served(script) as server:
        broker = transport(server, pool, path="/api/v3")
        await broker.read("")
        await broker.read("/quote", query=[("i", "NSE:M&M-EQ"), ("i", "NSE:NIFTY 50"), ("tag", "ä+/")])
        await broker.read("/orders/a%2Fb c\r\nX: y")
        await broker.write("DELETE", "/orders/1")
    lines = [request.split(b"\r\n")[0].decode() for request in server.requests]
    assert lines == [
        "GET /api/v3 HTTP/1.1",
        "GET /api/v3/quote?i=NSE:M%26M-EQ&i=NSE:NIFTY+50&tag=%C3%A4%2B/ HTTP/1.1",
        "GET /api/v3/orders/a%2Fb%20c%0D%0AX:%20y HTTP/1.1",
        "DELETE /api/v3/orders/1 HTTP/1.1",
    ]
    assert f"Host: 127.0.0.1:{server.port}".encode() in server.requests[0]
    assert b"Content-Length" not in server.requests[0]
    assert b"Content-Length: 0" in server.requests[3]


async def test_a_name_is_resolved(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)

    async with raw_server(script) as server:
        broker = Transport(base_url=f"http://localhost:{server.port}", connections=pool, timeout_seconds=5)
        assert isinstance(await broker.read("/x"), Answered)
        nowhere = Transport(base_url="http://no-such-name.invalid", connections=pool, timeout_seconds=5)
        assert isinstance(await nowhere.write("POST", "/orders", form=[("a", "b")]), NotSent)


def certificate(folder: Path, *, name: str) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    address: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    no_password = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password))
    return certificate_file, key_file


async def test_a_certificate_of_another_name_is_not_sent_to(tmp_path: Path) -> None:
    certificate_file, key_file = certificate(tmp_path, name="another.example.org")

    async def script(connection: Connection) -> None:
        await connection.request()

    pool = trusting(certificate_file)
    async with raw_server(script, tls=server_side(certificate_file, key_file)) as server:
        result = await transport(server, pool).write("POST", "/orders", form=[("a", "b")])
    await pool.close()
    assert isinstance(result, NotSent)
    assert server.requests == []


async def test_a_handshake_that_hangs_is_not_sent_and_costs_no_place(own_certificate: tuple[Path, Path]) -> None:
    ended: list[bytes] = []

    async def script(connection: Connection) -> None:
        ended.append(await connection.reader.read())

    pool = trusting(own_certificate[0])
    async with raw_server(script) as server:
        url = server.url.replace("http:", "https:")
        broker = Transport(base_url=url, connections=pool, timeout_seconds=0.2)
        hung = await asyncio.gather(*(broker.write("POST", "/orders", json=b"{}") for _ in range(pool.write_connections + 10)))
        await eventually(lambda: len(ended) == server.connections)
        assert all(result == NotSent("timed out") for result in hung)
    async with raw_server(answer_twice, tls=server_side(*own_certificate)) as server:
        assert isinstance(await transport(server, pool).write("POST", "/orders", json=b"{}"), Answered)
    await pool.close()


async def answer_twice(connection: Connection) -> None:
    for _ in range(2):
        await connection.request()
        await connection.send(OK)


async def test_an_answer_that_comes_before_the_request_was_read_ends_the_connection(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        if server.connections == 1:
            await connection.reader.readuntil(b"\r\n\r\n")
        else:
            await connection.request()
        await connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n" if server.connections == 1 else OK)
        await asyncio.sleep(60)

    async with raw_server(script) as server:
        broker = transport(server, pool)
        first = await broker.write("POST", "/orders", json=b" " * 50_000_000)
        second = await broker.write("POST", "/orders", json=b"{}")
    assert isinstance(first, Answered)
    assert first.status == 413
    assert isinstance(second, Answered)
    assert server.connections == 2
