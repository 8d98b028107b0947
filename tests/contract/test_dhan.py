"""Dhan's adapter against the DhanHQ dialect: the shared suite, and what is peculiar to Dhan."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest

from brokers.answers import Answered
from brokers.dhan.adapter import SimulatedDhanBroker
from brokers.dhan.errors import read_data
from brokers.dhan.instruments import parse_master
from brokers.dhan.postback import claimed_user_id, read_postback
from brokers.dhan.session import session_headers
from brokers.dhan.stream import open_feed
from brokers.dhan.ticks import Kind, Packet, decode_frame
from brokers.exact_json import encode_json
from brokers.fields import row
from brokers.sockets import send
from brokers.transport import Transport
from simulator.dialects.dhan.app import DhanDialect
from simulator.dialects.dhan.session import PIN, WRONG_CODE
from simulator.exchange.listing import equity
from tests.contract.suite import BrokerContract
from tests.contract.suite_market_data import first_tick
from tests.contract.world import OWNER, TCS, SystemClock, World, credentials_of, new_world, yes
from tests.unit.brokers.raw_server import Connection, raw_server
from trading.accounts import BrokerName, Credentials, LoginAnswer
from trading.instruments import InstrumentId
from trading.orders import Accepted, BrokerOrderStatus, RefusalKind, Refused, Unknown
from trading.ports.broker import BrokerRefused, BrokerUnavailable, SessionExpired, UnreadableAnswer


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with new_world(BrokerName.DHAN) as world:
        # Ten seconds at the broker; the cases about heartbeats need not wait as long.
        dialect(world).hub.ping_after_seconds = 0.2
        yield world


def dialect(world: World) -> DhanDialect:
    found = world.sim.simulator.dialects["dhan"]
    assert isinstance(found, DhanDialect)
    return found


class TestDhan(BrokerContract):
    """The whole suite."""

    async def test_c09_the_login_page_is_told_who_and_returns_our_state(self, world: World) -> None:
        """Dhan carries no state, and names the user by a consent made for the purpose: so the page is followed to its end."""
        account = world.sim.simulator.registry.find(world.account.key)
        assert account is not None
        account.redirect_url = "https://here.example/back?kept=1"
        url = await world.login.login_url(world.credentials, state="a&b=c", redirect_url="https://here.example/back")
        assert url is not None
        assert world.account.api_secret not in url
        page = Transport(base_url=url.partition("?")[0], connections=world.connections, timeout_seconds=5)
        redirect = await page.read("", query=[("consentAppId", parse_qs(urlsplit(url).query)["consentAppId"][0]), ("auto", "1")])
        assert isinstance(redirect, Answered)
        returned = parse_qs(urlsplit(redirect.headers["location"]).query)
        assert returned["kept"] == ["1"]
        session = await world.login.log_in(world.credentials, LoginAnswer(code=returned["tokenId"][0]))
        assert session.broker_user_id == world.account.user_id


# --- logins ---------------------------------------------------------------------------------------------------------------


async def test_pin_and_one_time_code_yield_a_session_of_24_hours(world: World) -> None:
    session = await world.login.log_in(world.credentials, LoginAnswer(pin=PIN, one_time_code="135790"))
    assert session.broker_user_id == world.account.user_id
    assert timedelta(hours=23, minutes=59) < session.expires_at - datetime.now(UTC) <= timedelta(hours=24)
    assert (await world.another_broker(access_token=session.access_token).profile()).broker_user_id == world.account.user_id
    with pytest.raises(SessionExpired):
        await world.broker.profile()


@pytest.mark.parametrize(
    "answer",
    [
        LoginAnswer(pin="654321", one_time_code="135790"),
        LoginAnswer(pin=PIN, one_time_code=WRONG_CODE),
        LoginAnswer(pin=PIN, one_time_code="12345"),
        LoginAnswer(pin=PIN),
        LoginAnswer(one_time_code="135790"),
        LoginAnswer(code="unheard-of"),
        LoginAnswer(access_token="unheard-of"),
        LoginAnswer(),
    ],
    ids=["pin", "code", "short code", "no code", "no pin", "token id", "token", "nothing"],
)
async def test_a_login_that_is_not_enough_is_refused_without_showing_it(world: World, answer: LoginAnswer) -> None:
    with pytest.raises(BrokerRefused) as caught:
        await world.login.log_in(world.credentials, answer)
    for secret in (answer.pin, answer.one_time_code, answer.code, answer.access_token):
        assert not secret or secret not in str(caught.value)
    assert (await world.broker.profile()).broker_user_id == world.account.user_id


async def test_a_one_time_code_works_once(world: World) -> None:
    answer = LoginAnswer(pin=PIN, one_time_code="135790")
    await world.login.log_in(world.credentials, answer)
    with pytest.raises(BrokerRefused, match="TOTP"):
        await world.login.log_in(world.credentials, answer)


async def test_a_token_brought_along_is_proven_and_says_whose_it_is(world: World) -> None:
    nobody_yet = Credentials("", "")
    session = await world.login.log_in(nobody_yet, LoginAnswer(access_token=world.account.access_token))
    assert session.broker_user_id == world.account.user_id
    assert timedelta(0) < session.expires_at - datetime.now(UTC) <= timedelta(hours=24)
    another = Credentials("", "", broker_user_id="1000000001")
    with pytest.raises(BrokerRefused, match="not of 1000000001"):
        await world.login.log_in(another, LoginAnswer(access_token=world.account.access_token))


async def test_a_renewed_token_replaces_the_one_before(world: World) -> None:
    assert world.login.renews
    session = await world.login.renew(credentials_of(world.account))
    assert session.access_token != world.account.access_token
    assert (await world.another_broker(access_token=session.access_token).profile()).broker_user_id == world.account.user_id
    with pytest.raises(SessionExpired):
        await world.broker.profile()
    with pytest.raises(BrokerRefused):
        await world.login.renew(credentials_of(world.account))


async def test_without_an_api_key_there_is_no_page(world: World) -> None:
    bare = Credentials("", "", broker_user_id=world.account.user_id)
    assert await world.login.login_url(bare, state="s", redirect_url="https://here.example") is None


async def test_a_page_without_an_answer_is_unavailable_and_with_a_wrong_secret_refused(world: World) -> None:
    wrong = Credentials(world.account.api_key, "wrong", broker_user_id=world.account.user_id)
    with pytest.raises(BrokerRefused):
        await world.login.login_url(wrong, state="s", redirect_url="")
    world.fault("status_503", endpoint="session")
    with pytest.raises(BrokerUnavailable):
        await world.login.login_url(world.credentials, state="s", redirect_url="")


# --- orders ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("DH-902", 403, RefusalKind.PERMISSION),
        ("DH-903", 400, RefusalKind.PERMISSION),
        ("DH-905", 400, RefusalKind.INPUT),
        ("DH-906", 400, RefusalKind.INPUT),
        ("DH-907", 404, RefusalKind.INPUT),
        ("DH-906", 500, None),
        ("DH-908", 500, None),
        ("DH-909", 400, None),
        ("DH-910", 400, None),
        ("DH-1234", 400, None),
    ],
)
async def test_a_refusal_is_definite_only_for_codes_that_leave_no_order(
    world: World, code: str, status: int, kind: RefusalKind | None
) -> None:
    world.fault("reject_sync", error_type=code, status=status)
    request = world.resting()
    outcome = await world.broker.place(request, may_send=yes)
    if kind is None:
        assert isinstance(outcome, Unknown)
    else:
        assert isinstance(outcome, Refused)
        assert outcome.kind is kind
    assert world.attempts("place", tag=request.tag) == 1


async def test_an_order_for_another_client_is_refused(world: World) -> None:
    mine = credentials_of(world.account)
    other = Credentials(mine.api_key, mine.api_secret, mine.access_token, broker_user_id="1000000001")
    outcome = await world._build(world.registry(), other).place(world.resting(), may_send=yes)
    assert isinstance(outcome, Refused)
    assert world.accepted("place") == 0


async def test_an_order_the_book_does_not_show_yet_is_found_by_the_brokers_own_lookup(world: World) -> None:
    request = world.resting()
    order_id = await world.place(request)
    world.fault("stale_book", seconds=3600)
    (found,) = await world.broker.find_by_tag(request.tag)
    assert (found.broker_order_id, found.tag) == (order_id, request.tag)


@pytest.mark.parametrize("fault", ["status_500", "status_502_html", "half_json", "drop_before", "status_429"])
async def test_a_lookup_that_did_not_succeed_proves_nothing(world: World, fault: str) -> None:
    world.fault(fault, endpoint="order")
    with pytest.raises((BrokerUnavailable, UnreadableAnswer)):
        await world.broker.find_by_tag("t215b01contract99999")


async def test_without_the_instrument_list_nothing_is_sent_and_no_book_is_read_as_empty(world: World) -> None:
    order_id = await world.place(world.resting())
    registry = world.registry()
    registry.tokens(world.name).replace([])
    bare = world._build(registry, credentials_of(world.account))
    outcome = await bare.place(world.resting(), may_send=yes)
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.NOT_SENT
    assert world.attempts("place") == 1
    for reading in (bare.orders(), bare.order(order_id), bare.find_by_tag("t1"), bare.trades(), bare.positions()):
        with pytest.raises(BrokerUnavailable, match="instrument list"):
            await reading
    assert await bare.cancel(order_id, may_send=yes) == Accepted()


async def test_more_than_one_quote_a_second_is_unavailable(world: World) -> None:
    world.sim.account(OWNER, rate_limits="on", dialect="dhan")
    assert await world.broker.ltp([TCS]) == {TCS: 3500}
    with pytest.raises(BrokerUnavailable, match="805"):
        await world.broker.ltp([TCS])


async def test_a_postback_is_read_as_a_hint_of_its_order(world: World) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer()

    async with raw_server(script) as server:
        account = world.sim.simulator.registry.find(world.account.key)
        assert account is not None
        account.postback_url = server.url
        request = world.order()
        order_id = await world.place(request)
        await world.sim.wait_for(lambda: any(b'"TRADED"' in one for one in server.requests))
    bodies = [one.partition(b"\r\n\r\n")[2] for one in server.requests]
    last = next(read_postback(body) for body in bodies if b'"TRADED"' in body)
    assert (last.broker_order_id, last.tag, last.status) == (order_id, request.tag, BrokerOrderStatus.COMPLETE)
    assert (last.instrument, last.filled_quantity) == (TCS, 5)
    assert {claimed_user_id(body) for body in bodies} == {world.account.user_id}


# --- market data ----------------------------------------------------------------------------------------------------------


async def quote(world: World) -> dict[str, object]:
    """TCS's full quote over REST: the same facts by another way."""
    transport = Transport(
        base_url=world.urls.api_url,
        connections=world.connections,
        timeout_seconds=5,
        headers=session_headers(credentials_of(world.account)),
    )
    data = read_data(await transport.ask("/marketfeed/quote", json=b'{"NSE_EQ":[11536]}'))
    return dict(row(row(row(data, "data")["NSE_EQ"], "segment")["11536"], "quote"))


async def packet_of(world: World, code: int, kind: Kind) -> Packet:
    """The first packet of that kind on a socket of its own."""
    connection = await open_feed(world.urls.ws_url, credentials=credentials_of(world.account), open_seconds=5)
    listed = [{"ExchangeSegment": "NSE_EQ", "SecurityId": "11536"}]
    try:
        await send(connection, json.dumps({"RequestCode": code, "InstrumentCount": 1, "InstrumentList": listed}))
        async with asyncio.timeout(10):
            while True:
                frame = await connection.recv()
                for packet in decode_frame(frame) if isinstance(frame, bytes) else ():
                    if packet.kind is kind:
                        return packet
    finally:
        await connection.close()


@pytest.mark.parametrize(("code", "kind"), [(15, Kind.TICKER), (17, Kind.QUOTE), (21, Kind.FULL)])
async def test_a_tick_says_in_every_mode_what_the_quote_says(world: World, code: int, kind: Kind) -> None:
    world.sim.set_price("TCS", "3512.35")
    await world.place(world.order(price="3520"))
    packet, told = await packet_of(world, code, kind), await quote(world)
    assert (packet.segment, packet.security_id) == (1, 11536)
    assert packet.last_price == told["last_price"] == Decimal("3512.35")
    assert packet.last_trade_seconds is not None
    assert abs(datetime.now(UTC).timestamp() - packet.last_trade_seconds) < 60
    if kind is not Kind.TICKER:
        ohlc = {"open": packet.open, "high": packet.high, "low": packet.low, "close": packet.close}
        assert ohlc == told["ohlc"]
        assert (packet.volume, packet.average_price) == (told["volume"], told["average_price"])
        assert (packet.buy_quantity, packet.sell_quantity) == (told["buy_quantity"], told["sell_quantity"])
    if kind is Kind.FULL:
        depth = row(told["depth"], "depth")
        bids = [{"quantity": one.bid_quantity, "orders": one.bid_orders, "price": one.bid_price} for one in packet.depth]
        asks = [{"quantity": one.ask_quantity, "orders": one.ask_orders, "price": one.ask_price} for one in packet.depth]
        assert bids == depth["buy"]
        assert asks == depth["sell"]


async def test_a_subscription_begins_with_yesterdays_close(world: World) -> None:
    close = await packet_of(world, 15, Kind.PREVIOUS_CLOSE)
    assert close.close == row((await quote(world))["ohlc"], "ohlc")["close"]


async def test_a_feed_whose_times_are_shifted_still_tells_the_right_ones(world: World) -> None:
    dialect(world).hub.shifted_times = True
    async with world.broker.ticks() as stream:
        await stream.subscribe([TCS])
        async with asyncio.timeout(10):
            (tick, *_) = await anext(aiter(stream))
    assert tick.event_time is not None
    assert abs(tick.received_at - tick.event_time) < timedelta(minutes=1)


async def test_more_than_five_connections_cost_the_oldest_its_place(world: World) -> None:
    open_ones = [await open_feed(world.urls.ws_url, credentials=credentials_of(world.account), open_seconds=5) for _ in range(6)]
    try:
        async with asyncio.timeout(10):
            frame = await open_ones[0].recv()
        assert isinstance(frame, bytes)
        assert [packet.reason for packet in decode_frame(frame)] == [805]
    finally:
        for connection in open_ones:
            await connection.close()


async def test_a_goodbye_ends_the_stream_with_its_reason(world: World) -> None:
    async with world.broker.ticks() as stream:
        await stream.subscribe([TCS])
        world.expire_token()
        with pytest.raises(BrokerUnavailable, match="expired"):
            await first_tick(stream, "0.05")


async def test_many_instruments_are_subscribed_in_messages_the_server_takes(world: World) -> None:
    for number in range(150):
        listing = equity("NSE", f"MANY{number}", f"MANY {number}", 910_000 + number, price=1_000_000)
        world.sim.exchange.add_instrument(listing.instrument, price=listing.price)
    registry = world.registry()
    registry.tokens(world.name).replace(await world.master.instruments())
    many = {InstrumentId("NSE", f"MANY{number}") for number in range(150)}
    async with world._build(registry, credentials_of(world.account)).ticks() as stream:
        await stream.subscribe(many)
        async with asyncio.timeout(30):
            async for batch in stream:
                many -= {tick.instrument for tick in batch}
                if not many:
                    break


async def test_more_than_one_connection_carries_is_spread_over_several_and_no_more_than_five(world: World) -> None:
    everything = [entry.instrument.id for entry in world.listed]
    account = SimulatedDhanBroker(
        account_id="brk_contract",
        credentials=credentials_of(world.account),
        urls=world.urls,
        tokens=world.registry().tokens(world.name),
        timeout_seconds=5,
        clock=SystemClock(),
        connections=world.connections,
        instruments_per_feed=20,
    )
    hub = dialect(world).hub
    async with account.ticks() as stream:
        await stream.subscribe(everything[:50])
        await stream.subscribe(everything[30:70])
        assert hub.count(world.account.key) == 4
        missing = set(everything[:70])
        async with asyncio.timeout(30):
            async for batch in stream:
                missing -= {tick.instrument for tick in batch}
                if not missing:
                    break
        await stream.unsubscribe(everything[:70])
        await world.sim.wait_for(lambda: not hub.subscribers("NSE:TCS"))
        await stream.subscribe([TCS])
        assert hub.count(world.account.key) == 4, "there was room again"
        world.fault("cut")
        with pytest.raises(BrokerUnavailable):
            await first_tick(stream, "0.05")
    await world.sim.wait_for(lambda: hub.count(world.account.key) == 0)


async def test_both_forms_of_the_list_and_its_parts_say_the_same(world: World) -> None:
    root = world.urls.master_url.rpartition("/")[0]
    site = Transport(base_url=root, connections=world.connections, timeout_seconds=5)
    compact = await site.read("/api-scrip-master.csv")
    assert isinstance(compact, Answered)
    assert set(parse_master(compact.body)) == set(world.listed)
    api = Transport(base_url=world.urls.api_url, connections=world.connections, timeout_seconds=5)
    part = await api.read("/instrument/NSE_EQ")
    assert isinstance(part, Answered)
    assert {entry.token for entry in parse_master(part.body)} == {
        entry.token for entry in world.listed if entry.token.startswith("NSE_EQ:")
    }


async def test_a_body_that_is_not_as_documented_is_refused(world: World) -> None:
    good: dict[str, object] = {
        "dhanClientId": world.account.user_id,
        "transactionType": "BUY",
        "exchangeSegment": "NSE_EQ",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "validity": "DAY",
        "securityId": "11536",
        "quantity": 5,
        "price": Decimal("3400.0"),
    }
    transport = Transport(
        base_url=world.urls.api_url,
        connections=world.connections,
        timeout_seconds=5,
        headers=session_headers(credentials_of(world.account)),
    )
    wrong: list[dict[str, object]] = [
        {"disclosedQuantity": ""},
        {"dhanClientId": "1"},
        {"correlationId": "x" * 31},
        {"correlationId": "a/b"},
        {"productType": "MIS"},
        {"orderType": "MARKET"},
        {"validity": ""},
        {"quantity": True},
        {"price": "cheap"},
        {"exchangeSegment": "NSE"},
    ]
    for changes in wrong:
        answered = await transport.write("POST", "/orders", json=encode_json(good | changes))  # type: ignore[arg-type]
        assert isinstance(answered, Answered)
        assert (answered.status, b"DH-905" in answered.body) == (400, True), changes
    taken = await transport.write("POST", "/orders", json=encode_json(good))  # type: ignore[arg-type]
    assert isinstance(taken, Answered)
    assert taken.status == 200
