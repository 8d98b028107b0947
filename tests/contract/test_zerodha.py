"""Zerodha's adapter against the Kite dialect: the shared suite, and what is peculiar to Kite."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from decimal import Decimal

import pytest

from brokers.transport import Transport
from brokers.zerodha.errors import read_data
from brokers.zerodha.postback import claimed_user_id, read_postback
from brokers.zerodha.session import session_headers
from brokers.zerodha.stream import open_ticker
from brokers.zerodha.ticks import Mode, Packet, decode_frame
from tests.contract.suite import BrokerContract
from tests.contract.world import World, new_world, yes
from tests.unit.brokers.raw_server import Connection, raw_server
from trading.accounts import BrokerName, Credentials
from trading.orders import RefusalKind, Refused, Unknown
from trading.ports.broker import BrokerRefused


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with new_world(BrokerName.ZERODHA) as world:
        yield world


class TestZerodha(BrokerContract):
    """The whole suite."""


@pytest.mark.parametrize(
    ("error_type", "kind"),
    [
        ("InputException", RefusalKind.INPUT),
        ("MarginException", RefusalKind.MARGIN),
        ("HoldingException", RefusalKind.HOLDING),
        ("UserException", RefusalKind.PERMISSION),
        ("OrderException", None),
        ("NetworkException", None),
        ("DataException", None),
        ("GeneralException", None),
        ("UnheardOfException", None),
    ],
)
async def test_a_refusal_is_definite_only_for_error_types_that_leave_no_order(
    world: World, error_type: str, kind: RefusalKind | None
) -> None:
    world.fault("reject_sync", error_type=error_type)
    request = world.resting()
    outcome = await world.broker.place(request, may_send=yes)
    if kind is None:
        assert isinstance(outcome, Unknown)
    else:
        assert isinstance(outcome, Refused)
        assert outcome.kind is kind
    assert world.attempts("place", tag=request.tag) == 1


async def quote(world: World, key: str) -> dict[str, object]:
    """The full quote over REST: the same facts by another way."""
    headers = session_headers(Credentials(world.account.api_key, "", world.account.access_token))
    transport = Transport(base_url=world.urls.api_url, connections=world.connections, timeout_seconds=5, headers=headers)
    data = read_data(await transport.read("/quote", query=[("i", key)]))
    assert isinstance(data, dict)
    found: dict[str, object] = data[key]
    return found


async def packet_of(world: World, token: int, mode: Mode) -> Packet:
    """The first packet in that mode on a socket of its own."""
    credentials = Credentials(world.account.api_key, "", world.account.access_token)
    connection = await open_ticker(world.urls.ws_url, credentials=credentials, open_seconds=5)
    try:
        await connection.send(json.dumps({"a": "subscribe", "v": [token]}))
        await connection.send(json.dumps({"a": "mode", "v": [mode.value, [token]]}))
        async with asyncio.timeout(10):
            while True:
                frame = await connection.recv()
                for packet in decode_frame(frame) if isinstance(frame, bytes) else ():
                    if packet.mode is mode:
                        return packet
    finally:
        await connection.close()


@pytest.mark.parametrize("mode", Mode)
async def test_a_tick_says_in_every_mode_what_the_quote_says(world: World, mode: Mode) -> None:
    world.sim.set_price("TCS", "3512.35")
    await world.place(world.order(price="3520"))
    packet, told = await packet_of(world, 2953217, mode), await quote(world, "NSE:TCS")
    assert (packet.token, packet.last_price) == (2953217, told["last_price"])
    assert str(packet.last_price) == "3512.35"
    if mode is not Mode.LTP:
        ohlc = {"open": packet.open, "high": packet.high, "low": packet.low, "close": packet.close}
        assert ohlc == told["ohlc"]
        assert (packet.volume, packet.average_price) == (told["volume"], told["average_price"])
    if mode is Mode.FULL:
        depth = told["depth"]
        assert isinstance(depth, dict)
        assert [asdict(entry) for entry in packet.bids] == depth["buy"]
        assert [asdict(entry) for entry in packet.asks] == depth["sell"]
        assert packet.last_trade_time is not None


@pytest.mark.parametrize("mode", Mode)
async def test_an_index_ticks_in_every_mode(world: World, mode: Mode) -> None:
    world.sim.set_price("NIFTY 50", "25000.15")
    packet, told = await packet_of(world, 256265, mode), await quote(world, "NSE:NIFTY 50")
    assert packet.last_price == told["last_price"] == Decimal("25000.15")
    if mode is not Mode.LTP:
        ohlc = {"open": packet.open, "high": packet.high, "low": packet.low, "close": packet.close}
        assert ohlc == told["ohlc"]


async def test_a_postback_of_the_broker_verifies_with_our_secret(world: World) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.answer()

    async with raw_server(script) as server:
        account = world.sim.simulator.registry.find(world.account.api_key)
        assert account is not None
        account.postback_url = server.url
        request = world.order()
        order_id = await world.place(request)
        await world.sim.wait_for(lambda: bool(server.requests))
    body = server.requests[0].partition(b"\r\n\r\n")[2]
    order = read_postback(body, api_secret=world.account.api_secret)
    assert (order.broker_order_id, order.tag) == (order_id, request.tag)
    assert claimed_user_id(body) == world.account.user_id
    with pytest.raises(BrokerRefused):
        read_postback(body, api_secret="another")
