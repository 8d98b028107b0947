import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from brokers.transport import ConnectionPool
from brokers.zerodha.login import ZerodhaLogin
from tests.unit.brokers.clock import HeldClock
from tests.unit.brokers.raw_server import Connection, raw_server, unused_port
from trading.accounts import BrokerSession, Credentials, Environment
from trading.ports.broker import BrokerError, BrokerRefused, BrokerUnavailable, UnreadableAnswer

CREDENTIALS = Credentials(api_key="key", api_secret="secret")


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool()
    yield pool
    await pool.close()


def login(api_url: str, pool: ConnectionPool) -> ZerodhaLogin:
    return ZerodhaLogin(
        api_url=api_url,
        login_url="http://127.0.0.1:1/connect/login",
        environment=Environment.SIMULATED,
        timeout_seconds=5,
        clock=HeldClock(),
        connections=pool,
    )


def test_the_login_page_gets_key_and_state(pool: ConnectionPool) -> None:
    parts = urlsplit(login("http://127.0.0.1:1", pool).login_url(CREDENTIALS, state="a b&c=d"))
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
        session = await login(server.url, pool).exchange(CREDENTIALS, request_token="rt")
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
            await login(server.url, pool).exchange(CREDENTIALS, request_token="rt")
    assert len(server.requests) == 1


async def test_nobody_listening_is_unavailable(pool: ConnectionPool) -> None:
    with pytest.raises(BrokerUnavailable):
        await login(f"http://127.0.0.1:{unused_port()}", pool).exchange(CREDENTIALS, request_token="rt")
