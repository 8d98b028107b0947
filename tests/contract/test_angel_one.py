"""Angel One's adapter against the SmartAPI dialect: the shared suite, and what is peculiar to SmartAPI."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from decimal import Decimal

import pytest

from brokers.angel_one import heartbeat, limits
from brokers.angel_one.errors import read_data
from brokers.angel_one.postback import claimed_user_id, read_postback
from brokers.angel_one.session import session_headers, socket_headers
from brokers.angel_one.stream import AngelOneTickStream
from brokers.angel_one.ticks import Mode, Packet, decode_packet
from brokers.exact_json import encode_json
from brokers.sockets import open_socket
from brokers.transport import Transport
from brokers.turns import LocalTurns
from tests.contract.suite import BrokerContract
from tests.contract.world import OWNER, TCS, SystemClock, World, credentials_of, new_world, yes
from tests.unit.brokers.raw_server import Connection, raw_server
from trading.accounts import BrokerName
from trading.instruments import InstrumentId
from trading.orders import Accepted, BrokerOrderStatus, ModifyRequest, RefusalKind, Refused, Unknown
from trading.ports.broker import BrokerRefused, BrokerUnavailable, SessionExpired

DOCUMENTED_GAPS = (limits.BOOK_GAP_SECONDS, limits.QUOTE_GAP_SECONDS)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    # The broker takes one read of a book a second; the cases read it often. One case below keeps to the second.
    monkeypatch.setattr(limits, "BOOK_GAP_SECONDS", 0.0)
    monkeypatch.setattr(limits, "QUOTE_GAP_SECONDS", 0.0)
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.2)
    async with new_world(BrokerName.ANGEL_ONE) as world:
        yield world


class TestAngelOne(BrokerContract):
    """The whole suite."""


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AB1009", RefusalKind.INPUT),
        ("AB1012", RefusalKind.INPUT),
        ("AB4036", RefusalKind.INPUT),
        ("AB1006", RefusalKind.PERMISSION),
        ("AG7002", RefusalKind.PERMISSION),
        ("AB1010", RefusalKind.SESSION),
        ("AB1004", None),
        ("AB2000", None),
        ("AB2001", None),
        ("AB1013", None),
        ("XX0000", None),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 403])
async def test_a_refusal_is_definite_only_for_codes_that_leave_no_order_whatever_the_status(
    world: World, code: str, kind: RefusalKind | None, status: int
) -> None:
    world.fault("reject_sync", error_type=code, status=status)
    request = world.resting()
    outcome = await world.broker.place(request, may_send=yes)
    if kind is None:
        assert isinstance(outcome, Unknown)
    else:
        assert isinstance(outcome, Refused)
        assert outcome.kind is kind
        assert code in outcome.message
    assert world.attempts("place", tag=request.tag) == 1


async def test_however_often_the_books_are_asked_for_the_broker_is_asked_once_a_second(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BOOK_GAP_SECONDS", DOCUMENTED_GAPS[0])
    monkeypatch.setattr(limits, "QUOTE_GAP_SECONDS", DOCUMENTED_GAPS[1])
    world.sim.account(OWNER, rate_limits="on", dialect=world.name.value)
    account, request = world.another_broker(), world.resting()
    await account.orders()
    await world.place(request)
    reads = [account.find_by_tag(request.tag) for _ in range(20)]
    # Every read was asked for after the order was placed, so every one of them shows it.
    found = await asyncio.gather(*reads, *(account.trades() for _ in range(5)), *(account.positions() for _ in range(5)))
    assert all(len(orders) == 1 for orders in found[:20])


async def test_two_processes_that_share_their_turns_ask_the_broker_once_a_second_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BOOK_GAP_SECONDS", DOCUMENTED_GAPS[0])
    world.sim.account(OWNER, rate_limits="on", dialect=world.name.value)
    shared = LocalTurns(SystemClock())
    one, two = (world.another_broker(turns=shared) for _ in range(2))
    books = await asyncio.gather(one.orders(), two.orders())
    assert abs(books[0].requested_at - books[1].requested_at) >= 1
    loners = (world.another_broker() for _ in range(3))
    alone = await asyncio.gather(*(broker.orders() for broker in loners), return_exceptions=True)
    assert any(isinstance(found, BrokerUnavailable) for found in alone), "the broker does count"


async def test_an_order_of_another_process_is_changed_with_what_the_book_says_of_it(world: World) -> None:
    request = world.resting()
    order_id = await world.place(request)
    another = world.another_broker()
    assert await another.modify(ModifyRequest(order_id, 4, Decimal(3390)), may_send=yes) == Accepted()
    assert (await another.order(order_id)).quantity == 4
    assert await world.another_broker().cancel(order_id, may_send=yes) == Accepted()
    assert (await world.only(request.tag)).status is BrokerOrderStatus.CANCELLED


async def test_a_renewed_session_replaces_the_one_before(world: World) -> None:
    renewed = await world.login.renew(credentials_of(world.account))
    assert renewed.access_token != world.account.access_token
    assert renewed.refresh_token not in (None, world.account.refresh_token)
    again = replace(
        world.account,
        access_token=renewed.access_token,
        refresh_token=renewed.refresh_token or "",
        feed_token=renewed.feed_token or "",
    )
    profile = await world.another_broker(access_token=renewed.access_token).profile()
    assert profile.broker_user_id == renewed.broker_user_id == world.account.user_id
    with pytest.raises(SessionExpired):
        await world.broker.profile()
    with pytest.raises(SessionExpired):
        await world.login.renew(credentials_of(world.account))
    assert (await world.login.renew(credentials_of(again))).access_token


async def test_a_wrong_pin_and_a_wrong_client_are_refused(world: World) -> None:
    answer = world.answer()
    for credentials, tried in (
        (world.credentials, replace(answer, pin="9999")),
        (replace(world.credentials, broker_user_id="ZZ9"), answer),
        (replace(world.credentials, api_key="nobody"), answer),
    ):
        with pytest.raises(BrokerRefused, match="AB1007"):
            await world.login.log_in(credentials, tried)


async def test_a_feed_with_a_wrong_feed_token_is_refused_in_the_brokers_words(world: World) -> None:
    wrong = replace(credentials_of(world.account), feed_token="wrong")
    account = world._build(world.registry(), wrong)
    with pytest.raises(BrokerRefused, match="Invalid Feed Token"):
        async with account.ticks():
            pass


async def quote(world: World, exchange: str, token: str) -> dict[str, object]:
    """The full quote over REST: the same facts by another way."""
    headers = session_headers(credentials_of(world.account))
    transport = Transport(base_url=world.urls.api_url, connections=world.connections, timeout_seconds=5, headers=headers)
    body = encode_json({"mode": "FULL", "exchangeTokens": {exchange: [token]}})
    data = read_data(await transport.ask("/rest/secure/angelbroking/market/v1/quote/", json=body))
    assert isinstance(data, dict)
    found: dict[str, object] = data["fetched"][0]
    return found


async def packet_of(world: World, token: str, mode: Mode) -> Packet:
    """The first packet in that mode on a socket of its own."""
    connection = await open_socket(world.urls.ws_url, headers=socket_headers(credentials_of(world.account)), open_seconds=5)
    try:
        tokens = [{"exchangeType": 1, "tokens": [token]}]
        await connection.send(encode_json({"action": 1, "params": {"mode": mode.value, "tokenList": tokens}}).decode())
        async with asyncio.timeout(10):
            frame = await connection.recv()
            assert isinstance(frame, bytes)
            return decode_packet(frame)
    finally:
        await connection.close()


@pytest.mark.parametrize("mode", Mode)
async def test_a_tick_says_in_every_mode_what_the_quote_says(world: World, mode: Mode) -> None:
    world.sim.set_price("TCS", "3512.35")
    await world.place(world.order(price="3520"))
    packet, told = await packet_of(world, "11536", mode), await quote(world, "NSE", "11536")
    assert (packet.mode, packet.token, packet.last_price) == (mode, "11536", told["ltp"])
    assert str(packet.last_price) == "3512.35"
    if mode is not Mode.LTP:
        assert [packet.open, packet.high, packet.low, packet.close] == [told[name] for name in ("open", "high", "low", "close")]
        assert (packet.volume, packet.average_price) == (told["tradeVolume"], told["avgPrice"])
        assert (packet.buy_quantity, packet.sell_quantity) == (told["totBuyQuan"], told["totSellQuan"])
    if mode is Mode.SNAP_QUOTE:
        depth = told["depth"]
        assert isinstance(depth, dict)
        assert [asdict(entry) for entry in packet.bids] == depth["buy"]
        assert [asdict(entry) for entry in packet.asks] == depth["sell"]
        assert (packet.upper_circuit, packet.lower_circuit) == (told["upperCircuit"], told["lowerCircuit"])
        assert packet.last_trade_time is not None


@pytest.mark.parametrize("mode", Mode)
async def test_an_index_ticks_in_every_mode_and_is_called_as_we_call_it(world: World, mode: Mode) -> None:
    nifty = InstrumentId("NSE", "NIFTY 50")
    world.sim.set_price("NIFTY 50", "25000.15")
    assert (await packet_of(world, "99926000", mode)).last_price == Decimal("25000.15")
    assert await world.broker.ltp([nifty]) == {nifty: Decimal("25000.15")}
    async with world.broker.ticks() as stream:
        await stream.subscribe([nifty])
        async with asyncio.timeout(10):
            (tick,) = await anext(aiter(stream))
    assert (tick.instrument, tick.last_price) == (nifty, Decimal("25000.15"))


async def test_a_stream_that_is_left_leaves_no_connection_behind(world: World) -> None:
    dialect = world.sim.simulator.dialects[world.name.value]
    async with world.broker.ticks() as stream:
        assert isinstance(stream, AngelOneTickStream)
        await stream.subscribe([TCS])
        await world.sim.wait_for(lambda: dialect.connections() == 1)
    await world.sim.wait_for(lambda: dialect.connections() == 0)


async def test_a_postback_of_the_broker_is_read_for_whom_it_is_about(world: World) -> None:
    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.answer()

    async with raw_server(script) as server:
        account = world.sim.simulator.registry.find(world.account.api_key)
        assert account is not None
        account.postback_url = server.url
        request = world.order()
        order_id = await world.place(request)
        # The states of an order are posted side by side.
        await world.sim.wait_for(lambda: any(b'"complete"' in posted for posted in server.requests))
    bodies = [posted.partition(b"\r\n\r\n")[2] for posted in server.requests]
    orders = [read_postback(body, "") for body in bodies]
    assert {(order.broker_order_id, order.tag) for order in orders} == {(order_id, request.tag)}
    assert BrokerOrderStatus.COMPLETE in {order.status for order in orders}
    assert {claimed_user_id(body) for body in bodies} == {world.account.user_id}
