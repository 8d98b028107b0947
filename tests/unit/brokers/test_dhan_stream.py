"""Dhan's market feed over a real socket, from a server that sends exactly what a case says."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve

from brokers.dhan.stream import DhanTickStream, Key, open_feed
from brokers.instrument_tokens import InstrumentTokens
from brokers.lines import Lines
from brokers.sockets import AttentiveConnection
from tests.unit.brokers.clock import HeldClock
from tests.unit.brokers.raw_server import unused_port
from trading.accounts import Credentials
from trading.instruments import Instrument, InstrumentId, Segment
from trading.ports.broker import BrokerRefused, BrokerUnavailable, ListedInstrument, Tick

TCS, MRF = InstrumentId("NSE", "TCS"), InstrumentId("NSE", "MRF")
TOKENS = InstrumentTokens(
    [
        ListedInstrument(Instrument(TCS, "TCS", Segment.CASH, Decimal("0.10")), "NSE_EQ:11536"),
        ListedInstrument(Instrument(MRF, "MRF", Segment.CASH, Decimal("5")), "NSE_EQ:2277"),
    ]
)
CREDENTIALS = Credentials("", "", "the-token", broker_user_id="1000000001")


class Server:
    """`asked` are the messages that came, `path` the address of the newest connection."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self.path = ""
        self.connection: ServerConnection | None = None

    async def meet(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.path = connection.request.path if connection.request else ""
        async for message in connection:
            self.asked.put_nowait(json.loads(message))

    async def send(self, *frames: bytes | str) -> None:
        assert self.connection is not None
        for frame in frames:
            await self.connection.send(frame)


@asynccontextmanager
async def feed() -> AsyncIterator[tuple[Server, DhanTickStream]]:
    server = Server()
    async with serve(server.meet, "127.0.0.1", 0) as listening:
        (socket,) = listening.sockets
        url = f"ws://127.0.0.1:{socket.getsockname()[1]}"

        async def one_more() -> AttentiveConnection:
            return await open_feed(url, credentials=CREDENTIALS, open_seconds=5)

        lines: Lines[Key] = Lines(one_more, keys_per_line=10, most_lines=1)
        async with lines:
            yield server, DhanTickStream(lines, TOKENS, HeldClock())


def ticker(security_id: int, price: float, *, segment: int = 1) -> bytes:
    return struct.pack("<BHBIfI", 2, 16, segment, security_id, price, 0)


async def next_ticks(stream: DhanTickStream) -> list[Tick]:
    async with asyncio.timeout(30):
        async for batch in stream:
            return list(batch)
    raise AssertionError("the stream ended without an error")


async def test_the_address_says_who_asks_and_a_subscription_what_for() -> None:
    async with feed() as (server, stream):
        await stream.subscribe([TCS, MRF])
        asked = await server.asked.get()
        assert parse_qs(urlsplit(server.path).query) == {
            "version": ["2"],
            "token": ["the-token"],
            "clientId": ["1000000001"],
            "authType": ["2"],
        }
        assert asked == {
            "RequestCode": 15,
            "InstrumentCount": 2,
            "InstrumentList": [
                {"ExchangeSegment": "NSE_EQ", "SecurityId": "11536"},
                {"ExchangeSegment": "NSE_EQ", "SecurityId": "2277"},
            ],
        }
        await stream.unsubscribe([MRF])
        assert (await server.asked.get())["RequestCode"] == 16


async def test_prices_are_matched_with_their_instruments_and_ticks() -> None:
    async with feed() as (server, stream):
        await stream.subscribe([TCS, MRF])
        await server.asked.get()
        await server.send(ticker(11536, 3512.3) + ticker(2277, 145_235.0))
        ticks = await next_ticks(stream)
    assert [(tick.instrument, tick.last_price) for tick in ticks] == [(TCS, Decimal("3512.30")), (MRF, Decimal(145_235))]
    assert [tick.event_time for tick in ticks] == [None, None]


async def test_what_nobody_asked_for_and_what_is_no_price_is_passed_over() -> None:
    async with feed() as (server, stream):
        await stream.subscribe([TCS])
        await server.asked.get()
        other_segment, never_traded = ticker(11536, 1.0, segment=4), ticker(11536, 0.0)
        await server.send("a text", b"\x00", ticker(2277, 5.0), other_segment, never_traded, ticker(11536, 3512.3))
        assert [tick.last_price for tick in await next_ticks(stream)] == [Decimal("3512.30")]


@pytest.mark.parametrize(
    ("reason", "raised"), [(805, BrokerUnavailable), (806, BrokerRefused), (807, BrokerUnavailable), (899, BrokerUnavailable)]
)
async def test_a_goodbye_says_whether_to_come_back(reason: int, raised: type[Exception]) -> None:
    async with feed() as (server, stream):
        await stream.subscribe([TCS])
        await server.asked.get()
        await server.send(struct.pack("<BHBIH", 50, 10, 0, 0, reason))
        with pytest.raises(raised, match="goodbye") as caught:
            await next_ticks(stream)
    assert type(caught.value) is raised
    assert "the-token" not in str(caught.value)


async def test_a_refused_handshake_does_not_show_the_token() -> None:
    with pytest.raises(BrokerUnavailable) as caught:
        await open_feed(f"ws://127.0.0.1:{unused_port()}", credentials=CREDENTIALS, open_seconds=5)
    assert "the-token" not in str(caught.value)
