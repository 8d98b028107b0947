"""The adapter against servers that answer exactly what the test says."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from brokers.angel_one.adapter import LiveAngelOneBroker, SimulatedAngelOneBroker
from brokers.connections import ConnectionPool
from brokers.instrument_tokens import InstrumentTokens
from brokers.urls import BrokerUrls
from tests.contract.world import SystemClock
from tests.unit.brokers.angel_one.rows import order_row
from tests.unit.brokers.raw_server import Connection, RawServer, raw_server
from trading.accounts import Credentials
from trading.instruments import Instrument, InstrumentId, Product, Segment
from trading.orders import Accepted, ModifyRequest, OrderRequest, Placed, RefusalKind, Refused, Side
from trading.ports.broker import BrokerRefused, ListedInstrument, SessionExpired

SBIN = InstrumentId("NSE", "SBIN")
TOKENS = InstrumentTokens([ListedInstrument(Instrument(SBIN, "SBIN", Segment.CASH, Decimal("0.05")), "NSE|3045|SBIN-EQ")])
ORDER = OrderRequest("t1", SBIN, Product.MIS, Side.BUY, 3, Decimal("194.00"))
PLACED = {"script": "SBIN-EQ", "orderid": "201020000000080", "uniqueorderid": "34reqfachdfih"}
Answers = dict[str, object]


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool()
    yield pool
    await pool.close()


def broker(
    server: RawServer, pool: ConnectionPool, *, tokens: InstrumentTokens = TOKENS, access_token: str | None = "jwt"
) -> SimulatedAngelOneBroker:
    return SimulatedAngelOneBroker(
        account_id="a1",
        credentials=Credentials("the-key", "", access_token, broker_user_id="A12345"),
        urls=BrokerUrls(api_url=server.url, ws_url="", login_url=""),
        tokens=tokens,
        timeout_seconds=5,
        clock=SystemClock(),
        connections=pool,
    )


def answering(answers: Answers):  # type: ignore[no-untyped-def]
    """By the last parts of the path; whatever is not listed is not found."""

    async def script(connection: Connection) -> None:
        while True:
            path = (await connection.request()).split()[1].decode().partition("/v1/")[2]
            if path not in answers:
                await connection.answer(status=404, body=b"not here", content_type="text/plain")
                continue
            await connection.answer_json({"status": True, "message": "SUCCESS", "errorcode": "", "data": answers[path]})

    return raw_server(script)


def asked(server: RawServer) -> list[str]:
    return [request.split()[1].decode().partition("/v1/")[2] for request in server.requests]


def yes() -> bool:
    return True


async def test_an_order_carries_all_headers_and_its_change_needs_no_read(pool: ConnectionPool) -> None:
    async with answering({"placeOrder": PLACED, "modifyOrder": PLACED, "cancelOrder": PLACED}) as server:
        account = broker(server, pool)
        assert await account.place(ORDER, may_send=yes) == Placed("201020000000080")
        assert await account.modify(ModifyRequest("201020000000080", 3, Decimal(195)), may_send=yes) == Accepted()
        assert await account.cancel("201020000000080", may_send=yes) == Accepted()
    assert asked(server) == ["placeOrder", "modifyOrder", "cancelOrder"]
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    for header in (
        b"authorization: bearer jwt",
        b"x-privatekey: the-key",
        b"x-usertype: user",
        b"content-type: application/json",
    ):
        assert header in head.lower()
    assert json.loads(body)["ordertag"] == "t1"


async def test_after_a_restart_the_book_says_what_a_change_has_to_name(pool: ConnectionPool) -> None:
    row = order_row(variety="STOPLOSS", ordertype="STOPLOSS_LIMIT")
    async with answering({"getOrderBook": [row], "cancelOrder": PLACED}) as server:
        account = broker(server, pool)
        assert await account.cancel("201020000000080", may_send=yes) == Accepted()
        assert await account.cancel("201020000000080", may_send=yes) == Accepted()
    assert asked(server) == ["getOrderBook", "cancelOrder", "cancelOrder"]
    assert json.loads(server.requests[1].partition(b"\r\n\r\n")[2]) == {"variety": "STOPLOSS", "orderid": "201020000000080"}


async def test_a_change_whose_particulars_cannot_be_had_is_not_sent(pool: ConnectionPool) -> None:
    change = ModifyRequest("7", 3, Decimal(195))
    async with answering({"getOrderBook": [order_row()], "modifyOrder": PLACED}) as server:
        unseen = await broker(server, pool).modify(change, may_send=yes)
    async with answering({"modifyOrder": PLACED}) as unreadable:
        unread = await broker(unreadable, pool).modify(change, may_send=yes)
    for outcome in (unseen, unread):
        assert isinstance(outcome, Refused)
        assert outcome.kind is RefusalKind.NOT_SENT
    assert asked(server) == asked(unreadable) == ["getOrderBook"]


async def test_an_unlisted_instrument_is_refused_and_an_empty_list_refuses_nothing_for_good(pool: ConnectionPool) -> None:
    async with answering({}) as server:
        nowhere = OrderRequest("t1", InstrumentId("NSE", "NOWHERE"), Product.MIS, Side.BUY, 3, Decimal(1))
        unlisted = await broker(server, pool).place(nowhere, may_send=yes)
        unloaded = await broker(server, pool, tokens=InstrumentTokens()).place(ORDER, may_send=yes)
    assert isinstance(unlisted, Refused)
    assert isinstance(unloaded, Refused)
    assert (unlisted.kind, unloaded.kind) == (RefusalKind.INPUT, RefusalKind.NOT_SENT)
    assert server.requests == []


async def test_without_a_token_nothing_is_sent(pool: ConnectionPool) -> None:
    async with answering({}) as server:
        account = broker(server, pool, access_token=None)
        for outcome in (await account.place(ORDER, may_send=yes), await account.cancel("7", may_send=yes)):
            assert isinstance(outcome, Refused)
            assert outcome.kind is RefusalKind.SESSION
        for read in (account.orders, account.trades, account.positions, account.margins, account.profile):
            with pytest.raises(SessionExpired):
                await read()
        with pytest.raises(SessionExpired):
            await account.ltp([SBIN])
    assert server.requests == []


async def test_one_order_is_asked_for_by_its_other_id_and_looked_up_in_the_book_without_it(pool: ConnectionPool) -> None:
    async with answering({"placeOrder": PLACED, "details/34reqfachdfih": order_row()}) as server:
        account = broker(server, pool)
        await account.place(ORDER, may_send=yes)
        assert (await account.order("201020000000080")).tag == "st1a2b3c"
    async with answering({"getOrderBook": [order_row(uniqueorderid="")]}) as other:
        account = broker(other, pool)
        assert (await account.order("201020000000080")).tag == "st1a2b3c"
        with pytest.raises(BrokerRefused):
            await account.order("7")
    assert asked(server) == ["placeOrder", "details/34reqfachdfih"]
    assert asked(other) == ["getOrderBook"] * 2


@pytest.mark.parametrize("known", ["quote", "quote/"])
async def test_quotes_are_found_with_a_slash_at_the_end_or_without(pool: ConnectionPool, known: str) -> None:
    fetched = [{"exchange": "NSE", "symbolToken": "3045", "ltp": "820.05"}]
    async with answering({known: {"fetched": fetched, "unfetched": []}}) as server:
        account = broker(server, pool)
        for _ in range(2):
            assert await account.ltp([SBIN]) == {SBIN: Decimal("820.05")}
    assert asked(server) == (["quote/"] * 2 if known == "quote/" else ["quote/", "quote", "quote"])
    assert json.loads(server.requests[-1].partition(b"\r\n\r\n")[2]) == {"mode": "LTP", "exchangeTokens": {"NSE": ["3045"]}}


@pytest.mark.parametrize("url", ["https://apiconnect.angelone.in", "https://x.angelbroking.com"])
def test_money_and_rehearsal_never_meet(url: str) -> None:
    given = {
        "account_id": "a1",
        "credentials": Credentials("k", ""),
        "tokens": TOKENS,
        "timeout_seconds": 5,
        "clock": SystemClock(),
        "connections": ConnectionPool(),
    }
    own, elsewhere = BrokerUrls(url, "", ""), BrokerUrls("http://127.0.0.1:1", "", "")
    LiveAngelOneBroker(urls=own, **given)  # type: ignore[arg-type]
    SimulatedAngelOneBroker(urls=elsewhere, **given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="simulated"):
        SimulatedAngelOneBroker(urls=own, **given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="live"):
        LiveAngelOneBroker(urls=elsewhere, **given)  # type: ignore[arg-type]
