"""Logins against a server that answers exactly what the test says."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from brokers.angel_one.login import AngelOneLogin
from brokers.angel_one.postback import claimed_user_id, read_postback
from brokers.angel_one.session import plain_token, session_end
from brokers.connections import ConnectionPool
from brokers.urls import BrokerUrls
from tests.unit.brokers.angel_one.rows import order_row
from tests.unit.brokers.clock import HeldClock
from tests.unit.brokers.raw_server import Connection, RawServer, raw_server
from trading.accounts import BrokerSession, Credentials, Environment, LoginAnswer
from trading.ports.broker import BrokerRefused, BrokerUnavailable, SessionExpired, UnreadableAnswer

OWNER = Credentials("the-key", "", broker_user_id="A12345")
PIN = LoginAnswer(pin="1234", one_time_code="654321")
# Midnight in India, after 3 August 2026, 09:30.
MIDNIGHT = datetime(2026, 8, 3, 18, 30, tzinfo=UTC)


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool()
    yield pool
    await pool.close()


def login(server: RawServer, pool: ConnectionPool) -> AngelOneLogin:
    urls = BrokerUrls(api_url=server.url, ws_url="", login_url="https://login.example/page")
    return AngelOneLogin(urls=urls, environment=Environment.SIMULATED, timeout_seconds=5, clock=HeldClock(), connections=pool)


def answering(value: object, *, status: int = 200):  # type: ignore[no-untyped-def]
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer_json(value, status=status)

    return raw_server(script)


def success(data: object) -> dict[str, object]:
    return {"status": True, "message": "SUCCESS", "errorcode": "", "data": data}


def body_of(request: bytes) -> object:
    return json.loads(request.partition(b"\r\n\r\n")[2])


async def test_a_login_with_pin_and_code_yields_all_three_tokens_until_midnight(pool: ConnectionPool) -> None:
    tokens = {"jwtToken": "Bearer jwt", "refreshToken": "again", "feedToken": "feed", "state": "x"}
    async with answering(success(tokens)) as server:
        session = await login(server, pool).log_in(OWNER, PIN)
    assert session == BrokerSession("jwt", "A12345", MIDNIGHT, "again", "feed")
    (request,) = server.requests
    assert request.startswith(b"POST /rest/auth/angelbroking/user/v1/loginByPassword ")
    assert body_of(request) == {"clientcode": "A12345", "password": "1234", "totp": "654321"}
    head = request.lower()
    for header in (b"x-privatekey: the-key", b"x-usertype: user", b"x-sourceid: web", b"x-clientlocalip:", b"x-clientpublicip:"):
        assert header in head
    assert b"x-macaddress:" in head
    assert b"authorization" not in head


async def test_a_token_brought_along_is_proven_by_the_profile(pool: ConnectionPool) -> None:
    async with answering(success({"clientcode": "A12345", "name": "X", "exchanges": "['nse_cm']"})) as server:
        answer = LoginAnswer(access_token="Bearer jwt", refresh_token="again", feed_token="feed")
        session = await login(server, pool).log_in(OWNER, answer)
    assert session == BrokerSession("jwt", "A12345", MIDNIGHT, "again", "feed")
    assert b"Authorization: Bearer jwt\r\n" in server.requests[0]


@pytest.mark.parametrize("code", ["AB1007", "AB1000", "AG8001"])
async def test_wrong_words_are_refused_with_the_brokers_own(pool: ConnectionPool, code: str) -> None:
    async with answering({"status": False, "message": "Invalid totp", "errorcode": code, "data": None}) as server:
        with pytest.raises(BrokerRefused, match="Invalid totp"):
            await login(server, pool).log_in(OWNER, PIN)


@pytest.mark.parametrize(
    ("credentials", "answer"),
    [
        (OWNER, LoginAnswer()),
        (OWNER, LoginAnswer(pin="1234")),
        (OWNER, LoginAnswer(one_time_code="654321")),
        (Credentials("the-key", ""), PIN),
    ],
    ids=["nothing", "no code", "no pin", "no client code"],
)
async def test_too_little_is_refused_without_asking_the_broker(
    pool: ConnectionPool, credentials: Credentials, answer: LoginAnswer
) -> None:
    async with answering({}) as server:
        with pytest.raises(BrokerRefused):
            await login(server, pool).log_in(credentials, answer)
    assert server.requests == []


@pytest.mark.parametrize("data", [None, [], {}, {"jwtToken": ""}, {"jwtToken": None}])
async def test_a_session_without_a_token_is_unreadable(pool: ConnectionPool, data: object) -> None:
    async with answering(success(data)) as server:
        with pytest.raises(UnreadableAnswer):
            await login(server, pool).log_in(OWNER, PIN)


async def test_a_gateway_in_the_way_is_unavailable(pool: ConnectionPool) -> None:
    async with answering({"oops": 1}, status=502) as server:
        with pytest.raises(BrokerUnavailable):
            await login(server, pool).log_in(OWNER, PIN)


ALIVE = Credentials("the-key", "", "jwt", broker_user_id="A12345", refresh_token="again", feed_token="feed")


async def test_a_living_session_is_renewed_with_its_refresh_token(pool: ConnectionPool) -> None:
    async with answering(success({"jwtToken": "jwt2", "refreshToken": "", "feedToken": "feed2"})) as server:
        session = await login(server, pool).renew(ALIVE)
    assert session == BrokerSession("jwt2", "A12345", MIDNIGHT, "again", "feed2")
    (request,) = server.requests
    assert request.startswith(b"POST /rest/auth/angelbroking/jwt/v1/generateTokens ")
    assert body_of(request) == {"refreshToken": "again"}
    assert b"Authorization: Bearer jwt\r\n" in request


async def test_a_dead_refresh_token_means_that_a_person_logs_in(pool: ConnectionPool) -> None:
    async with answering({"status": False, "message": "Invalid Refresh Token", "errorcode": "AB8050", "data": None}) as server:
        with pytest.raises(SessionExpired):
            await login(server, pool).renew(ALIVE)
        with pytest.raises(BrokerRefused):
            await login(server, pool).renew(OWNER)
    assert len(server.requests) == 1


async def test_the_login_page_is_told_who_and_where_to_come_back(pool: ConnectionPool) -> None:
    async with answering({}) as server:
        url = await login(server, pool).login_url(OWNER, state="a&b=c", redirect_url="https://here.example/back?x=1")
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://login.example/page"
    assert parse_qs(parts.query) == {
        "api_key": ["the-key"],
        "state": ["a&b=c"],
        "redirect_url": ["https://here.example/back?x=1"],
    }


@pytest.mark.parametrize(
    ("now", "end"),
    [
        (datetime(2026, 8, 3, 4, 0, tzinfo=UTC), MIDNIGHT),
        (datetime(2026, 8, 3, 18, 29, 59, tzinfo=UTC), MIDNIGHT),
        (datetime(2026, 8, 3, 18, 30, tzinfo=UTC), datetime(2026, 8, 4, 18, 30, tzinfo=UTC)),
    ],
)
def test_a_session_ends_at_the_next_midnight_in_india(now: datetime, end: datetime) -> None:
    assert session_end(now) == end


def test_the_word_before_a_token_is_never_doubled() -> None:
    assert {plain_token(token) for token in ("jwt", "Bearer jwt", " Bearer  jwt ")} == {"jwt"}


def test_a_postback_is_read_as_a_hint_whoever_sent_it() -> None:
    posted = json.dumps(order_row(clientcode="A12345")).encode()
    assert claimed_user_id(posted) == "A12345"
    assert read_postback(posted, "").tag == "st1a2b3c"
    for junk in (b"", b"[]", b"{}", json.dumps(order_row(orderstatus="news")).encode()):
        with pytest.raises(UnreadableAnswer):
            read_postback(junk, "")
    with pytest.raises(UnreadableAnswer):
        claimed_user_id(b"{}")
