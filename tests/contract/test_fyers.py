"""Fyers' adapter against its dialect: the shared suite, and what is peculiar to Fyers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.fields import Row, row
from brokers.fyers import frames, pace
from brokers.fyers.errors import read_body
from brokers.fyers.session import claimed_text, session_headers
from brokers.fyers.stream import authenticate
from brokers.fyers.symbols import Key
from brokers.fyers.ticks import Feed, decode_data
from brokers.registry import UnsupportedBroker
from brokers.sockets import open_socket
from brokers.transport import Transport
from brokers.turns import LocalTurns
from simulator.dialects.fyers.app import FyersDialect
from tests.contract.suite import BrokerContract
from tests.contract.world import OWNER, World, credentials_of, new_world, yes
from trading.accounts import BrokerName, Credentials, Environment
from trading.instruments import InstrumentId, Product
from trading.orders import Accepted, BrokerOrderStatus, ModifyRequest, RefusalKind, Refused, Unknown
from trading.ports.broker import BrokerUnavailable


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with new_world(BrokerName.FYERS) as world:
        yield world


class TestFyers(BrokerContract):
    """The whole suite."""


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("-50", RefusalKind.INPUT),
        ("-300", RefusalKind.INPUT),
        ("-99", RefusalKind.OTHER),
        ("-373", RefusalKind.PERMISSION),
        ("-8", RefusalKind.SESSION),
        ("-17", RefusalKind.SESSION),
        ("-353", RefusalKind.RATE_LIMIT),
        ("-96", None),
        ("-201", None),
        ("-205", None),
        ("500", None),
        ("-4711", None),
    ],
)
async def test_a_refusal_is_definite_only_for_codes_that_leave_no_order(
    world: World, code: str, kind: RefusalKind | None
) -> None:
    world.fault("reject_sync", error_type=code)
    request = world.resting()
    outcome = await world.broker.place(request, may_send=yes)
    if kind is None:
        assert isinstance(outcome, Unknown)
    else:
        assert isinstance(outcome, Refused)
        assert outcome.kind is kind
    assert world.attempts("place", tag=request.tag) == 1


@dataclass(frozen=True, slots=True)
class TurningClock:
    seconds: Callable[[], float]

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return self.seconds()


async def feed_of(world: World, key: str) -> dict[str, int | Decimal]:
    """What the feed knows of one instrument after its snapshot and one change of its price."""
    listed = {str(entry.instrument.id): Key.parse(entry.token) for entry in world.listed}
    topic = listed[key].topic
    connection = await open_socket(world.urls.ws_url, headers={}, open_seconds=5)
    feed = Feed()
    try:
        await authenticate(connection, claimed_text(world.account.access_token, "hsm_key"), within_seconds=5)
        await connection.send(frames.subscribe_frames([topic])[0])
        async with asyncio.timeout(10):
            while not feed.fields(topic):
                frame = await connection.recv()
                if isinstance(frame, bytes) and frames.frame_type(frame) == frames.DATA:
                    feed.prices(decode_data(frame).items)
            world.sim.set_price(key.partition(":")[2], "3512.35" if key == "NSE:TCS" else "25000.15")
            frame = await connection.recv()
            assert isinstance(frame, bytes)
            feed.prices(decode_data(frame).items)
    finally:
        await connection.close()
    return feed.fields(topic)


async def read(world: World, path: str, query: list[tuple[str, str]]) -> Row:
    """The same facts by another way."""
    headers = session_headers(Credentials(world.account.api_key, "", world.account.access_token))
    transport = Transport(base_url=world.urls.data_url, connections=world.connections, timeout_seconds=5, headers=headers)
    return read_body(await transport.read(path, query=query))


async def test_snapshot_and_change_add_up_to_what_the_depth_says(world: World) -> None:
    await world.place(world.order(price="3520"))
    told = await feed_of(world, "NSE:TCS")
    answer = await read(world, "/depth", [("symbol", "NSE:TCS-EQ"), ("ohlcv_flag", "1")])
    depth = row(row(answer.get("d"), "depths")["NSE:TCS-EQ"], "depth")
    assert str(told["last_price"]) == "3512.35"
    names = {
        "last_price": "ltp",
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "c",
        "volume": "v",
        "average_price": "atp",
        "last_quantity": "ltq",
        "buy_quantity": "totalbuyqty",
        "sell_quantity": "totalsellqty",
        "lower_circuit": "lower_ckt",
        "upper_circuit": "upper_ckt",
        "last_trade_time": "ltt",
    }
    assert {name: told[name] for name in names} == {name: depth[theirs] for name, theirs in names.items()}


async def test_an_index_has_a_price_and_its_own_day(world: World) -> None:
    world.sim.set_price("NIFTY 50", "24000")
    told = await feed_of(world, "NSE:NIFTY 50")
    assert (str(told["last_price"]), told["low"]) == ("25000.15", 24000)
    nifty = InstrumentId("NSE", "NIFTY 50")
    assert await world.broker.ltp([nifty]) == {nifty: Decimal("25000.15")}


@pytest.mark.parametrize("symbol", ["NSE:M&M", "NSE:BAJAJ-AUTO", "BSE:TCS", "NFO"])
async def test_symbols_of_every_kind_trade_under_our_own_names(world: World, symbol: str) -> None:
    listed = {str(entry.instrument.id): entry.instrument for entry in world.listed}
    future = next(name for name in listed if name.startswith("NFO:TCS") and name.endswith("FUT"))
    instrument = listed[future if symbol == "NFO" else symbol]
    price = (await world.broker.ltp([instrument.id]))[instrument.id]
    product = Product.NRML if symbol == "NFO" else Product.MIS
    lots = world.order(instrument=instrument.id, price=str(price), quantity=instrument.lot_size, product=product)
    await world.place(lots)
    order = await world.only(lots.tag)
    assert (order.instrument, order.status) == (instrument.id, BrokerOrderStatus.COMPLETE)
    (position,) = await world.broker.positions()
    assert (position.instrument, position.product, position.net_quantity) == (instrument.id, product, instrument.lot_size)
    (trade,) = await world.broker.trades()
    assert trade.instrument == instrument.id
    async with world.broker.ticks() as stream:
        await stream.subscribe([instrument.id])
        async with asyncio.timeout(10):
            async for batch in stream:
                assert batch[0].instrument == instrument.id
                assert batch[0].last_price == price
                break


@pytest.mark.parametrize("together", [True, False], ids=["turns shared", "each for itself"])
async def test_however_often_two_processes_ask_for_the_book_the_minute_of_the_broker_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    world.sim.account(OWNER, rate_limits="on", dialect="fyers")
    dialect = world.sim.simulator.dialects["fyers"]
    assert isinstance(dialect, FyersDialect)
    seconds = 0.0

    async def sleep(wait: float) -> None:
        nonlocal seconds
        seconds += wait

    # Time passes only where an adapter waits for its turn, on both sides.
    clock = TurningClock(lambda: seconds)
    monkeypatch.setattr(pace, "sleep", sleep)
    monkeypatch.setattr(dialect.limiter, "_clock", lambda: seconds)
    shared = LocalTurns(clock)
    both = [world.another_broker(turns=shared if together else LocalTurns(clock)) for _ in range(2)]
    complained = 0
    for _ in range(240):
        for broker in both:
            try:
                await broker.orders()
            except BrokerUnavailable:
                complained += 1
    assert seconds > 60
    assert (complained == 0, dialect.limiter.breaches(world.account.key) == 0) == (together, together)


async def test_an_app_that_may_not_trade_is_told_why_and_may_read(world: World) -> None:
    old = world.sim.simulator.registry.register("SIMULATED1-100")
    opened = world.sim.simulator.dialects["fyers"].log_in(old)
    broker = world.registry().broker(
        world.name, account_id="brk_old", credentials=credentials_of(opened), environment=Environment.SIMULATED
    )
    assert not isinstance(broker, UnsupportedBroker)
    outcome = await broker.place(world.resting(), may_send=yes)
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.PERMISSION
    assert "ends in -200" in outcome.message
    assert (await broker.orders()).orders == ()


async def test_a_token_that_dies_in_the_middle_stops_changes_until_the_next_login(world: World) -> None:
    request = world.resting()
    order_id = await world.place(request)
    world.expire_token()
    dead = await world.broker.cancel(order_id, may_send=yes)
    assert isinstance(dead, Refused)
    assert dead.kind is RefusalKind.SESSION
    session = await world.login.log_in(world.credentials, world.answer())
    renewed = world.another_broker(access_token=session.access_token)
    assert (await renewed.order(order_id)).status is BrokerOrderStatus.OPEN
    assert await renewed.cancel(order_id, may_send=yes) == Accepted()


async def test_an_unacknowledged_change_is_unknown_and_made(world: World) -> None:
    order_id = await world.place(world.resting())
    world.fault("timeout_400", endpoint="modify")
    assert isinstance(await world.broker.modify(ModifyRequest(order_id, 5, Decimal(3410)), may_send=yes), Unknown)
    assert (await world.broker.order(order_id)).price == 3410
