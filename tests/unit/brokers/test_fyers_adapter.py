"""What the adapter adds to its parts: paths and bodies, the search by tag, the pace, and the wall between live and simulated."""

import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import pytest

from brokers.connections import ConnectionPool
from brokers.fyers.adapter import FyersBroker, LiveFyersBroker, SimulatedFyersBroker
from brokers.fyers.limits import LIMITS
from brokers.fyers.pace import Need
from brokers.instrument_tokens import InstrumentTokens
from brokers.transport import always
from brokers.urls import BrokerUrls
from tests.unit.brokers.clock import HeldClock
from tests.unit.brokers.raw_server import Connection, RawServer, Script, raw_server, unused_port
from tests.unit.brokers.test_fyers_shapes import order_row
from trading.accounts import Credentials, Environment
from trading.instruments import Instrument, InstrumentId, PriceLimits, Product, Segment
from trading.orders import Accepted, ModifyRequest, OrderRequest, Placed, RefusalKind, Refused, Side
from trading.ports.broker import BrokerRefused, BrokerUnavailable, ListedInstrument, SessionExpired

SHARE = InstrumentId("NSE", "M&M")
ORDER = OrderRequest("t1", SHARE, Product.MIS, Side.BUY, 5, Decimal("100.05"))
Answer = Callable[[str], object]


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    pool = ConnectionPool()
    yield pool
    await pool.close()


def urls_of(root: str) -> BrokerUrls:
    return BrokerUrls(
        api_url=f"{root}/api/v3",
        data_url=f"{root}/data",
        login_url="",
        ws_url=f"ws://127.0.0.1:{unused_port()}",
        orders_ws_url=f"ws://127.0.0.1:{unused_port()}",
    )


def broker(
    root: str,
    pool: ConnectionPool,
    *,
    token: str | None = "a.b.c",
    app_id: str = "ABCDEFGHIJ-200",
    kind: type[FyersBroker] = SimulatedFyersBroker,
    tokens: InstrumentTokens | None = None,
) -> FyersBroker:
    return kind(
        account_id="brk_1",
        credentials=Credentials(app_id, "secret", token),
        urls=urls_of(root),
        tokens=tokens or InstrumentTokens(),
        timeout_seconds=5,
        clock=HeldClock(),
        connections=pool,
    )


def answering(answer: Answer, status: int = 200) -> Script:
    async def script(connection: Connection) -> None:
        while True:
            request = await connection.request()
            await connection.answer_json(answer(request.split()[1].decode()), status=status)

    return script


def targets(server: RawServer) -> list[str]:
    return [request.split(b"\r\n")[0].rpartition(b" ")[0].decode() for request in server.requests]


def bodies(server: RawServer) -> list[str]:
    return [request.partition(b"\r\n\r\n")[2].decode() for request in server.requests]


def book(*rows: dict[str, object]) -> dict[str, object]:
    return {"s": "ok", "code": 200, "message": "", "orderBook": [json.loads(json.dumps(row, default=float)) for row in rows]}


@pytest.mark.parametrize("root", ["https://api-t1.fyers.in", "https://API-T1.FYERS.IN.", "http://api.fyers.in"])
def test_a_simulated_account_cannot_be_built_for_the_brokers_own_servers(pool: ConnectionPool, root: str) -> None:
    with pytest.raises(ValueError, match="own server"):
        broker(root, pool)


@pytest.mark.parametrize("root", ["http://127.0.0.1:8090", "http://api-t1.fyers.in", "https://api-t1.fyers.in.example.com"])
def test_a_live_account_cannot_be_built_for_anything_else(pool: ConnectionPool, root: str) -> None:
    with pytest.raises(ValueError, match="own server, over https"):
        broker(root, pool, kind=LiveFyersBroker)


def test_the_environment_is_the_type_and_no_secret_is_shown(pool: ConnectionPool) -> None:
    assert broker("https://api-t1.fyers.in", pool, kind=LiveFyersBroker).environment is Environment.LIVE
    assert repr(broker("http://127.0.0.1:1", pool)) == "SimulatedFyersBroker(account_id='brk_1')"


async def test_orders_are_placed_changed_and_taken_back_with_bodies(pool: ConnectionPool) -> None:
    async with raw_server(answering(lambda _: {"s": "ok", "code": 1101, "message": "", "id": "808"})) as server:
        account = broker(server.url, pool)
        assert await account.place(ORDER, may_send=always) == Placed("808")
        assert await account.modify(ModifyRequest("808", 7, Decimal("99.50")), may_send=always) == Accepted()
        assert await account.cancel("808", may_send=always) == Accepted()
    assert targets(server) == ["POST /api/v3/orders/sync", "PATCH /api/v3/orders/sync", "DELETE /api/v3/orders/sync"]
    placed, modified, cancelled = bodies(server)
    assert '"symbol":"NSE:M&M-EQ"' in placed
    assert '"limitPrice":100.05,' in placed
    assert '"limitPrice":99.50,' in modified
    assert cancelled == '{"id":"808"}'
    head = server.requests[0].lower()
    assert b"authorization: abcdefghij-200:a.b.c\r\n" in head
    assert b"content-type: application/json\r\n" in head


async def test_without_a_login_nothing_is_sent(pool: ConnectionPool) -> None:
    async with raw_server(answering(lambda _: {})) as server:
        account = broker(server.url, pool, token=None)
        for outcome in (
            await account.place(ORDER, may_send=always),
            await account.modify(ModifyRequest("1", 5, Decimal(1)), may_send=always),
            await account.cancel("1", may_send=always),
        ):
            assert isinstance(outcome, Refused)
            assert outcome.kind is RefusalKind.SESSION
        with pytest.raises(SessionExpired):
            await account.orders()
        for opening in (account.ticks(), account.order_updates()):
            with pytest.raises(SessionExpired):
                async with opening:
                    pass
    assert server.connections == 0


async def test_a_share_nobody_can_name_is_refused_before_anything_is_sent(pool: ConnectionPool) -> None:
    async with raw_server(answering(lambda _: {})) as server:
        order = OrderRequest("t1", InstrumentId("BSE", "SBIN"), Product.MIS, Side.BUY, 5, Decimal(1))
        outcome = await broker(server.url, pool).place(order, may_send=always)
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.INPUT
    assert server.connections == 0


@pytest.mark.parametrize(
    ("app_id", "why"), [("ABCDEFGHIJ-200", "static IP address"), ("ABCDEFGHIJ-100", "algo-trading app, whose id ends in -200")]
)
async def test_a_refused_app_or_address_is_told_as_such(pool: ConnectionPool, app_id: str, why: str) -> None:
    refusal = {"s": "error", "code": -50, "message": f"Algo orders are not allowed from this app {app_id}"}
    async with raw_server(answering(lambda _: refusal, 400)) as server:
        account = broker(server.url, pool, app_id=app_id)
        for outcome in (await account.place(ORDER, may_send=always), await account.cancel("1", may_send=always)):
            assert isinstance(outcome, Refused)
            assert outcome.kind is RefusalKind.PERMISSION
            assert why in outcome.message


async def test_a_tag_is_searched_by_the_broker(pool: ConnectionPool) -> None:
    async with raw_server(answering(lambda _: book(order_row(orderTag="1:t1"), order_row(orderTag="1:t10", id="2")))) as server:
        (found,) = await broker(server.url, pool).find_by_tag("t1")
    assert found.tag == "t1"
    assert targets(server) == ["GET /api/v3/orders?order_tag=1:t1"]


@pytest.mark.parametrize("refused", [False, True])
async def test_a_tag_the_search_does_not_find_is_looked_for_in_the_whole_book(pool: ConnectionPool, refused: bool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        nothing = {"s": "error", "code": -51, "message": "no"} if refused else book()
        await connection.answer_json(nothing, status=400 if refused else 200)
        await connection.request()
        await connection.answer_json(book(order_row(orderTag="1:t1")))

    async with raw_server(script) as server:
        (found,) = await broker(server.url, pool).find_by_tag("t1")
    assert found.tag == "t1"
    assert targets(server) == ["GET /api/v3/orders?order_tag=1:t1", "GET /api/v3/orders"]


async def test_a_search_that_fails_is_no_absence(pool: ConnectionPool) -> None:
    async with raw_server(answering(lambda _: {"s": "error", "code": 500, "message": "x"}, 500)) as server:
        with pytest.raises(BrokerUnavailable):
            await broker(server.url, pool).find_by_tag("t1")
    assert len(server.requests) == 1


async def test_an_order_nobody_knows_is_refused(pool: ConnectionPool) -> None:
    async with raw_server(answering(lambda _: book())) as server:
        with pytest.raises(BrokerRefused):
            await broker(server.url, pool).order("1/../../x?y")
    assert targets(server) == ["GET /api/v3/orders?id=1/../../x?y"]


async def test_prices_are_asked_for_in_turns_and_symbols_go_out_exactly(pool: ConnectionPool) -> None:
    many = [SHARE] + [InstrumentId("NSE", f"S{n}") for n in range(LIMITS.quote_keys)]
    async with raw_server(answering(lambda _: {"s": "ok", "code": 200, "d": []})) as server:
        assert await broker(server.url, pool).ltp(many) == {}
        assert await broker(server.url, pool).ltp([]) == {}
    first, second = targets(server)
    assert first.startswith("GET /data/quotes?symbols=NSE:M%26M-EQ,NSE:S0-EQ,")
    assert second == f"GET /data/quotes?symbols=NSE:S{LIMITS.quote_keys - 1}-EQ"


async def test_what_the_list_does_not_know_is_not_asked_for(pool: ConnectionPool) -> None:
    known = Instrument(SHARE, "M&M", Segment.CASH, Decimal("0.05"))
    tokens = InstrumentTokens([ListedInstrument(known, "NSE:M&M-EQ|10100000002031")])
    async with raw_server(answering(lambda _: {"s": "ok", "d": [{"n": "NSE:M&M-EQ", "s": "ok", "v": {"lp": 5}}]})) as server:
        assert await broker(server.url, pool, tokens=tokens).ltp([InstrumentId("NSE", "GONE"), SHARE]) == {SHARE: 5}
    assert targets(server) == ["GET /data/quotes?symbols=NSE:M%26M-EQ"]


async def test_limits_are_read_one_by_one_and_an_unknown_symbol_has_none(pool: ConnectionPool) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer_json({"s": "error", "code": -300, "message": "Invalid symbol"}, status=400)
        await connection.request()
        await connection.answer_json({"s": "ok", "d": {"NSE:M&M-EQ": {"lower_ckt": 90, "upper_ckt": 110}}})

    wanted = [InstrumentId("NSE", "GONE"), SHARE]
    async with raw_server(script) as server:
        assert await broker(server.url, pool).price_limits(wanted) == {SHARE: PriceLimits(Decimal(90), Decimal(110))}
    assert targets(server)[1] == "GET /data/depth?symbol=NSE:M%26M-EQ&ohlcv_flag=1"
    with pytest.raises(BrokerUnavailable):
        await broker("http://127.0.0.1:1", pool).price_limits(wanted)


async def test_limits_of_many_come_as_far_as_there_are_turns_for_them(pool: ConnectionPool) -> None:
    def depth(path: str) -> object:
        ticker = path.partition("symbol=")[2].partition("&")[0]
        return {"s": "ok", "d": {ticker: {"lower_ckt": 90, "upper_ckt": 110}}}

    many = [InstrumentId("NSE", f"S{number}") for number in range(10)]
    async with raw_server(answering(depth)) as server:
        assert list(await broker(server.url, pool).price_limits(many)) == many[: Need.COMFORT.reads_at_once]
    assert len(server.requests) == Need.COMFORT.reads_at_once


async def test_reads_stop_in_time_and_orders_still_go_out(pool: ConnectionPool) -> None:
    async with raw_server(answering(lambda path: PLACED if "sync" in path else book())) as server:
        account = broker(server.url, pool)
        clock = account._clock
        assert isinstance(clock, HeldClock)
        for _ in range(Need.BOOK.calls_before):
            clock.seconds += 0.3
            assert await account.place(ORDER, may_send=always) == Placed("808")
        with pytest.raises(BrokerUnavailable, match="kept for orders"):
            await account.orders()
        assert await account.place(ORDER, may_send=always) == Placed("808")
    assert len(server.requests) == Need.BOOK.calls_before + 1


async def test_two_complaints_of_the_broker_end_the_reading_of_prices_for_the_day(pool: ConnectionPool) -> None:
    async with raw_server(answering(lambda _: {"s": "error", "code": -429, "message": "request limit reached"}, 429)) as server:
        account = broker(server.url, pool)
        clock = account._clock
        assert isinstance(clock, HeldClock)
        for _ in range(2):
            with pytest.raises(BrokerUnavailable, match="request limit"):
                await account.orders()
            clock.seconds += 61
        with pytest.raises(BrokerUnavailable, match="complained"):
            await account.ltp([SHARE])
        with pytest.raises(BrokerUnavailable, match="request limit"):
            await account.orders()
    assert len(server.requests) == 3


PLACED = {"s": "ok", "code": 1101, "message": "", "id": "808"}


def test_our_limits_stay_below_the_documented_ones() -> None:
    for ours, theirs in zip(LIMITS.order_writes, LIMITS.documented_order_writes, strict=True):
        assert ours.seconds == theirs.seconds
        assert ours.count <= theirs.count
    assert LIMITS.modifications_per_order < LIMITS.documented_modifications_per_order
