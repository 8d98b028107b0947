"""One Dhan account over the wire: what is written, byte for byte, and what is never written."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from brokers.connections import ConnectionPool
from brokers.dhan.adapter import LiveDhanBroker, SimulatedDhanBroker
from brokers.dhan.login import DhanLogin
from brokers.instrument_tokens import InstrumentTokens
from brokers.urls import BrokerUrls
from tests.unit.brokers.clock import HeldClock
from tests.unit.brokers.raw_server import Connection, RawServer, Script, raw_server
from trading.accounts import Credentials, Environment, LoginAnswer
from trading.instruments import Instrument, InstrumentId, Product, Segment
from trading.orders import Accepted, ModifyRequest, OrderRequest, Placed, RefusalKind, Refused, Side
from trading.ports.broker import BrokerRefused, ListedInstrument, SessionExpired

MANDM = InstrumentId("NSE", "M&M")
TOKENS = InstrumentTokens([ListedInstrument(Instrument(MANDM, "M&M", Segment.CASH, Decimal("0.10")), "NSE_EQ:2031")])
CREDENTIALS = Credentials("app", "secret", "the-token", broker_user_id="1000000001")


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool()
    yield pool
    await pool.close()


def urls(root: str) -> BrokerUrls:
    return BrokerUrls(api_url=f"{root}/v2", ws_url="ws://127.0.0.1:9", login_url=root, orders_ws_url="ws://127.0.0.1:9")


def account(server: RawServer, pool: ConnectionPool, credentials: Credentials = CREDENTIALS) -> SimulatedDhanBroker:
    return SimulatedDhanBroker(
        account_id="brk_1",
        credentials=credentials,
        urls=urls(server.url),
        tokens=TOKENS,
        timeout_seconds=5,
        clock=HeldClock(),
        connections=pool,
    )


def login(server: RawServer, pool: ConnectionPool) -> DhanLogin:
    return DhanLogin(
        urls=urls(server.url), environment=Environment.SIMULATED, timeout_seconds=5, clock=HeldClock(), connections=pool
    )


def answering(value: object, *, status: int = 200) -> Script:
    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.answer_json(value, status=status)

    return script


def yes() -> bool:
    return True


def order(instrument: InstrumentId = MANDM) -> OrderRequest:
    return OrderRequest("t215b01unit00001", instrument, Product.MIS, Side.BUY, 5, Decimal("3345.80"))


async def test_an_order_is_written_with_exact_numbers_and_the_clients_headers(pool: ConnectionPool) -> None:
    async with raw_server(answering({"orderId": "7", "orderStatus": "TRANSIT"})) as server:
        assert await account(server, pool).place(order(), may_send=yes) == Placed("7")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v2/orders HTTP/1.1")
    assert b"access-token: the-token" in head
    assert b"client-id: 1000000001" in head
    assert b'"price":3345.80}' in body
    sent = json.loads(body)
    assert (sent["dhanClientId"], sent["securityId"], sent["quantity"]) == ("1000000001", "2031", 5)
    assert (sent["correlationId"], sent["orderType"], sent["validity"]) == ("t215b01unit00001", "LIMIT", "DAY")


async def test_changes_are_written_to_the_orders_own_address(pool: ConnectionPool) -> None:
    async with raw_server(answering({"orderId": "7/8", "orderStatus": "CANCELLED"}, status=202)) as server:
        broker = account(server, pool)
        assert await broker.modify(ModifyRequest("7/8", 9, Decimal("3400.5")), may_send=yes) == Accepted()
        assert await broker.cancel("7/8", may_send=yes) == Accepted()
    put, delete = server.requests
    assert put.startswith(b"PUT /v2/orders/7%2F8 ")
    assert delete.startswith(b"DELETE /v2/orders/7%2F8 ")
    assert json.loads(put.partition(b"\r\n\r\n")[2])["quantity"] == 9


async def test_without_a_token_nothing_is_sent(pool: ConnectionPool) -> None:
    async with raw_server(answering({})) as server:
        broker = account(server, pool, Credentials("", "", broker_user_id="1000000001"))
        for outcome in (await broker.place(order(), may_send=yes), await broker.cancel("7", may_send=yes)):
            assert isinstance(outcome, Refused)
            assert outcome.kind is RefusalKind.SESSION
        with pytest.raises(SessionExpired):
            await broker.orders()
    assert server.requests == []


async def test_an_instrument_that_is_not_listed_is_refused_before_anything_is_sent(pool: ConnectionPool) -> None:
    async with raw_server(answering({})) as server:
        outcome = await account(server, pool).place(order(InstrumentId("NSE", "NOWHERE")), may_send=yes)
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.INPUT
    assert server.requests == []


async def test_a_login_tells_the_auth_server_what_it_needs_and_a_stranger_is_refused(pool: ConnectionPool) -> None:
    answer = {"dhanClientId": "1000000002", "accessToken": "another"}
    async with raw_server(answering(answer)) as server:
        with pytest.raises(BrokerRefused, match="1000000002"):
            await login(server, pool).log_in(CREDENTIALS, LoginAnswer(pin="111111", one_time_code="222222"))
        with pytest.raises(BrokerRefused, match="1000000002"):
            await login(server, pool).log_in(CREDENTIALS, LoginAnswer(code="the-token-id"))
    by_pin, by_consent = server.requests
    assert by_pin.startswith(b"POST /app/generateAccessToken?dhanClientId=1000000001&pin=111111&totp=222222 ")
    assert by_consent.startswith(b"GET /app/consumeApp-consent?tokenId=the-token-id ")
    assert b"app_id: app\r\napp_secret: secret" in by_consent


@pytest.mark.parametrize("key", ["accessToken", "token"])
async def test_a_renewal_is_read_under_both_names(pool: ConnectionPool, key: str) -> None:
    async with raw_server(answering({key: "newer", "expiryTime": "2026-09-02T11:30:00.000"})) as server:
        session = await login(server, pool).renew(CREDENTIALS)
    assert (session.access_token, session.broker_user_id) == ("newer", "1000000001")
    assert b"dhanClientId: 1000000001" in server.requests[0]


@pytest.mark.parametrize(
    ("kind", "api_url"),
    [
        (SimulatedDhanBroker, "https://api.dhan.co/v2"),
        (SimulatedDhanBroker, "http://sandbox.dhan.co/v2"),
        (LiveDhanBroker, "http://127.0.0.1:8092/v2"),
        (LiveDhanBroker, "http://api.dhan.co/v2"),
        (LiveDhanBroker, "https://api.dhan.co.example/v2"),
    ],
)
async def test_real_money_and_stand_ins_cannot_be_mistaken(pool: ConnectionPool, kind: type, api_url: str) -> None:
    with pytest.raises(ValueError, match="account"):
        kind(
            account_id="brk_1",
            credentials=CREDENTIALS,
            urls=BrokerUrls(api_url=api_url, ws_url="", login_url=""),
            tokens=TOKENS,
            timeout_seconds=5,
            clock=HeldClock(),
            connections=pool,
        )


async def test_an_account_does_not_show_its_secrets(pool: ConnectionPool) -> None:
    async with raw_server(answering({})) as server:
        assert "token" not in repr(account(server, pool))
