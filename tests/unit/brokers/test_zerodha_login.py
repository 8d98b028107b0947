import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from brokers.connections import ConnectionPool
from brokers.urls import BrokerUrls
from brokers.zerodha.login import ZerodhaLogin
from tests.unit.brokers.clock import HeldClock
from tests.unit.brokers.raw_server import Connection, raw_server, unused_port
from trading.accounts import BrokerSession, Credentials, Environment, LoginAnswer
from trading.ports.broker import BrokerError, BrokerRefused, BrokerUnavailable, UnreadableAnswer

CREDENTIALS = Credentials(api_key="key", api_secret="secret")


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool()
    yield pool
    await pool.close()


def login(api_url: str, pool: ConnectionPool) -> ZerodhaLogin:
    return ZerodhaLogin(
        urls=BrokerUrls(api_url, "", "http://127.0.0.1:1/connect/login"),
        environment=Environment.SIMULATED,
        timeout_seconds=5,
        clock=HeldClock(),
        connections=pool,
    )


async def test_the_login_page_gets_key_and_state(pool: ConnectionPool) -> None:
    page = await login("http://127.0.0.1:1", pool).login_url(CREDENTIALS, state="a b&c=d", redirect_url="https://here.example/")
    parts = urlsplit(page)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "http://127.0.0.1:1/connect/login"
    query = parse_qs(parts.query)
    assert (query["v"], query["api_key"]) == (["3"], ["key"])
    # What the broker appends to its redirect reads back as our state.
    assert parse_qs(query["redirect_params"][0]) == {"state": ["a b&c=d"]}


async def test_a_request_token_buys_a_session_until_the_next_morning(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer_json({"status": "success", "data": {"user_id": "AB1234", "access_token": "yyy", "silo": ""}})

    async with raw_server(script) as server:
        session = await login(server.url, pool).log_in(CREDENTIALS, LoginAnswer(code="rt"))
    assert session == BrokerSession("yyy", "AB1234", datetime(2026, 8, 4, 0, 30, tzinfo=UTC))
    assert "yyy" not in repr(session)
    checksum = hashlib.sha256(b"keyrtsecret").hexdigest()
    assert server.requests[0].startswith(b"POST /session/token HTTP")
    assert server.requests[0].endswith(f"api_key=key&request_token=rt&checksum={checksum}".encode())
    assert b"secret" not in server.requests[0]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (403, {"status": "error", "message": "Invalid `checksum`.", "error_type": "TokenException"}, BrokerRefused),
        (400, {"status": "error", "message": "Invalid `api_key`.", "error_type": "InputException"}, BrokerRefused),
        (503, {"status": "error", "message": "down", "error_type": "NetworkException"}, BrokerUnavailable),
        (200, {"status": "success", "data": {"user_id": "AB1234", "access_token": ""}}, UnreadableAnswer),
        (200, {"status": "success", "data": {"access_token": "yyy"}}, UnreadableAnswer),
        (200, {"status": "success", "data": None}, UnreadableAnswer),
    ],
)
async def test_a_login_that_did_not_succeed_raises(
    pool: ConnectionPool, status: int, body: dict[str, object], error: type[BrokerError]
) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer_json(body, status=status)

    async with raw_server(script) as server:
        with pytest.raises(error):
            await login(server.url, pool).log_in(CREDENTIALS, LoginAnswer(code="rt"))
    assert len(server.requests) == 1


async def test_nobody_listening_is_unavailable(pool: ConnectionPool) -> None:
    with pytest.raises(BrokerUnavailable):
        await login(f"http://127.0.0.1:{unused_port()}", pool).log_in(CREDENTIALS, LoginAnswer(code="rt"))


async def test_a_token_brought_along_is_proven_by_the_broker(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer_json({"status": "success", "data": {"user_id": "AB1234", "user_name": "A"}})

    async with raw_server(script) as server:
        session = await login(server.url, pool).log_in(CREDENTIALS, LoginAnswer(access_token="mine"))
    assert session == BrokerSession("mine", "AB1234", datetime(2026, 8, 4, 0, 30, tzinfo=UTC))
    assert server.requests[0].startswith(b"GET /user/profile HTTP")
    assert b"Authorization: token key:mine" in server.requests[0]


async def test_a_dead_token_brought_along_is_refused(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer_json(
            {"status": "error", "message": "Incorrect `access_token`.", "error_type": "TokenException"}, status=403
        )

    async with raw_server(script) as server:
        with pytest.raises(BrokerRefused):
            await login(server.url, pool).log_in(CREDENTIALS, LoginAnswer(access_token="dead"))


@pytest.mark.parametrize("answer", [LoginAnswer(), LoginAnswer(pin="1234", one_time_code="123456")], ids=["nothing", "pin"])
async def test_an_answer_of_another_broker_is_refused_without_a_call(pool: ConnectionPool, answer: LoginAnswer) -> None:
    with pytest.raises(BrokerRefused, match="request_token"):
        await login(f"http://127.0.0.1:{unused_port()}", pool).log_in(CREDENTIALS, answer)
