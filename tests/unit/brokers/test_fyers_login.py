"""Fyers' login: what is signed, what is sent, and what a token is worth."""

import hashlib
import json
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest

from brokers.connections import ConnectionPool
from brokers.fyers.instruments import FyersInstruments
from brokers.fyers.login import FyersLogin
from brokers.urls import BrokerUrls
from tests.unit.brokers.clock import HeldClock
from tests.unit.brokers.raw_server import Connection, raw_server
from tests.unit.brokers.test_fyers_instruments import BSE, SHARES
from tests.unit.brokers.test_fyers_session import SIX_TOMORROW, jwt
from trading.accounts import Credentials, Environment, LoginAnswer
from trading.ports.broker import BrokerRefused, BrokerUnavailable

CREDENTIALS = Credentials("ABCDEFGHIJ-200", "secret")
PROFILE = {"s": "ok", "code": 200, "message": "", "data": {"fy_id": "XA00001", "name": "A B"}}


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool()
    yield pool
    await pool.close()


def login(root: str, pool: ConnectionPool) -> FyersLogin:
    return FyersLogin(
        urls=BrokerUrls(api_url=f"{root}/api/v3", ws_url="", login_url=f"{root}/api/v3/generate-authcode"),
        environment=Environment.SIMULATED,
        timeout_seconds=5,
        clock=HeldClock(),
        connections=pool,
    )


async def test_the_page_is_told_who_asks_and_where_to_return(pool: ConnectionPool) -> None:
    url = await login("http://127.0.0.1:1", pool).login_url(CREDENTIALS, state="a&b", redirect_url="https://x.example/back")
    assert parse_qs(urlsplit(url).query) == {
        "client_id": ["ABCDEFGHIJ-200"],
        "redirect_uri": ["https://x.example/back"],
        "response_type": ["code"],
        "state": ["a&b"],
    }


async def test_a_code_buys_a_session_that_says_whose_it_is(pool: ConnectionPool) -> None:
    token = jwt(fy_id="XA00001", hsm_key="k")

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer_json({"s": "ok", "code": 200, "message": "", "access_token": token, "refresh_token": "x"})

    async with raw_server(script) as server:
        session = await login(server.url, pool).log_in(CREDENTIALS, LoginAnswer(code="auth-code"))
    assert (session.access_token, session.broker_user_id, session.expires_at) == (token, "XA00001", SIX_TOMORROW)
    assert session.refresh_token is None
    (request,) = server.requests
    assert request.startswith(b"POST /api/v3/validate-authcode ")
    assert json.loads(request.partition(b"\r\n\r\n")[2]) == {
        "grant_type": "authorization_code",
        "appIdHash": hashlib.sha256(b"ABCDEFGHIJ-200:secret").hexdigest(),
        "code": "auth-code",
    }


async def test_a_token_that_does_not_say_whose_it_is_is_asked_about(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        is_login = (await connection.request()).startswith(b"POST")
        opened = {"s": "ok", "code": 200, "message": "", "access_token": "ABCDEFGHIJ-200:a.b.c"}
        await connection.answer_json(opened if is_login else PROFILE)

    async with raw_server(script) as server:
        session = await login(server.url, pool).log_in(CREDENTIALS, LoginAnswer(code="auth-code"))
    assert (session.access_token, session.broker_user_id) == ("a.b.c", "XA00001")


async def test_a_token_brought_along_is_proven_by_a_call(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer_json(PROFILE)
        await connection.request()
        await connection.answer_json({"s": "error", "code": -16, "message": "Could not authenticate the user"}, status=401)

    async with raw_server(script) as server:
        answer = LoginAnswer(access_token="ABCDEFGHIJ-200:a.b.c")
        assert (await login(server.url, pool).log_in(CREDENTIALS, answer)).access_token == "a.b.c"
        with pytest.raises(BrokerRefused, match="authenticate"):
            await login(server.url, pool).log_in(CREDENTIALS, answer)
    assert b"authorization: abcdefghij-200:a.b.c\r\n" in server.requests[0].lower()


@pytest.mark.parametrize("answer", [LoginAnswer(), LoginAnswer(pin="1234", one_time_code="123456")])
async def test_there_is_no_login_without_the_page(pool: ConnectionPool, answer: LoginAnswer) -> None:
    with pytest.raises(BrokerRefused, match="auth_code"):
        await login("http://127.0.0.1:1", pool).log_in(CREDENTIALS, answer)
    with pytest.raises(BrokerRefused, match="no renewal"):
        await login("http://127.0.0.1:1", pool).renew(CREDENTIALS)


async def test_the_lists_are_read_and_a_missing_one_does_not_spoil_the_others(pool: ConnectionPool) -> None:
    files = {"/NSE_CM.csv": SHARES, "/BSE_CM.csv": BSE, "/index_hsm_mapping.json": b"{}"}

    async def script(connection: Connection) -> None:
        while True:
            path = (await connection.request()).split()[1].decode()
            await connection.answer(status=200 if path in files else 404, body=files.get(path, b""), content_type="text/csv")

    async with raw_server(script) as server:
        master = FyersInstruments(urls=BrokerUrls("", "", "", master_url=server.url), timeout_seconds=5, connections=pool)
        assert len(await master.instruments()) == 7
        del files["/NSE_CM.csv"]
        with pytest.raises(BrokerUnavailable):
            await master.instruments()
