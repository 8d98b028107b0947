"""The ticker socket (Kite Connect v3, "WebSocket streaming")."""

import asyncio
import struct

import aiohttp
import pytest

from simulator.dialects.kite import ticker as ticker_module
from simulator.testing import RunningSimulator, running_simulator
from tests.simulator.kite_client import TCS_TOKEN, KiteClient, Ticker, open_ticker

INFY_TOKEN, NIFTY_TOKEN = 408065, 256265


@pytest.fixture
async def socket(kite: KiteClient, sim: RunningSimulator):
    opened = await open_ticker(kite.session, sim.kite_ws_url, kite.account)
    yield opened
    await opened.close()


def packets(frame: bytes) -> list[bytes]:
    """The packets of a binary message."""
    (count,), at, found = struct.unpack(">H", frame[:2]), 2, []
    for _ in range(count):
        (length,) = struct.unpack(">H", frame[at : at + 2])
        found.append(frame[at + 2 : at + 2 + length])
        at += 2 + length
    assert at == len(frame)
    return found


def seen_prices(socket: Ticker) -> list[tuple[int, float]]:
    return [
        (token, price / 100) for frame in socket.frames for token, price in (struct.unpack(">Ii", p[:8]) for p in packets(frame))
    ]


@pytest.mark.parametrize(("api_key", "token"), [("sim-alice", "wrong"), ("nobody", "x"), ("", "")])
async def test_a_bad_token_is_refused_at_the_handshake(kite: KiteClient, sim: RunningSimulator, api_key: str, token: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await kite.session.ws_connect(sim.kite_ws_url, params={"api_key": api_key, "access_token": token})
    assert refused.value.status == 403


async def test_the_fourth_connection_of_a_key_is_refused_until_one_closes(kite: KiteClient, sim: RunningSimulator) -> None:
    sockets = [await open_ticker(kite.session, sim.kite_ws_url, kite.account) for _ in range(3)]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await open_ticker(kite.session, sim.kite_ws_url, kite.account)
    assert refused.value.status == 429
    await (await open_ticker(kite.session, sim.kite_ws_url, sim.account("bob"))).close()
    await sockets.pop().close()
    await sim.wait_for(lambda: sim.simulator.kite.hub.connections(kite.account.api_key) == 2)
    sockets.append(await open_ticker(kite.session, sim.kite_ws_url, kite.account))
    for socket in sockets:
        await socket.close()


async def test_the_number_of_connections_is_a_setting() -> None:
    async with running_simulator(ticker_connections=1) as sim, aiohttp.ClientSession() as session:
        first = await open_ticker(session, sim.kite_ws_url, sim.account("a"))
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await open_ticker(session, sim.kite_ws_url, sim.account("a"))
        await first.close()


async def test_a_connection_begins_with_instruments_meta(socket: Ticker) -> None:
    await socket.until(lambda seen: bool(seen.texts))
    assert socket.texts[0]["type"] == "instruments_meta"
    assert socket.texts[0]["data"]["count"] > 60


async def test_subscribing_sends_the_present_quote_and_then_each_change(socket: Ticker, sim: RunningSimulator) -> None:
    await socket.say({"a": "subscribe", "v": [TCS_TOKEN]})
    await socket.until(lambda seen: len(seen.frames) == 1)
    sim.set_price("TCS", "3490.5")
    sim.set_price("INFY", 1510)
    sim.set_price("TCS", 3491)
    await socket.until(lambda seen: len(seen.frames) == 3)
    assert seen_prices(socket) == [(TCS_TOKEN, 3600), (TCS_TOKEN, 3490.5), (TCS_TOKEN, 3491)]
    assert {len(frame) for frame in socket.frames} == {4 + 44}


async def test_a_price_that_is_set_again_is_sent_again(socket: Ticker, sim: RunningSimulator) -> None:
    await socket.say({"a": "mode", "v": ["ltp", [TCS_TOKEN]]})
    await socket.until(lambda seen: len(seen.frames) == 1)
    sim.set_price("TCS", 3600)
    await socket.until(lambda seen: len(seen.frames) == 2)


async def test_the_mode_decides_the_length_and_can_change(socket: Ticker) -> None:
    for mode, length in (("ltp", 8), ("full", 184), ("quote", 44), ("ltp", 8)):
        before = len(socket.frames)
        await socket.say({"a": "mode", "v": [mode, [TCS_TOKEN]]})
        await socket.until(lambda seen, before=before: len(seen.frames) > before)
        assert len(packets(socket.frames[-1])[0]) == length


async def test_prices_of_one_moment_come_in_one_frame(socket: Ticker, sim: RunningSimulator) -> None:
    await socket.say({"a": "mode", "v": ["full", [TCS_TOKEN, NIFTY_TOKEN]]})
    await socket.say({"a": "mode", "v": ["ltp", [INFY_TOKEN]]})
    await socket.until(lambda seen: len(seen.frames) == 2)
    assert [len(one) for one in packets(socket.frames[0])] == [184, 32]
    sim.set_prices({"TCS": 3500, "INFY": 1490, "NIFTY 50": 24400, "SBIN": 800})
    await socket.until(lambda seen: len(seen.frames) == 3)
    assert sorted(len(one) for one in packets(socket.frames[2])) == [8, 32, 184]


async def test_unsubscribing_ends_the_ticks(socket: Ticker, sim: RunningSimulator) -> None:
    await socket.say({"a": "mode", "v": ["ltp", [TCS_TOKEN, INFY_TOKEN]]})
    await socket.say({"a": "unsubscribe", "v": [TCS_TOKEN, 999]})
    await socket.say({"a": "mode", "v": ["ltp", [NIFTY_TOKEN]]})
    await socket.until(lambda seen: len(seen.frames) == 2)
    sim.set_price("TCS", 3500)
    sim.set_price("INFY", 1490)
    await socket.until(lambda seen: len(seen.frames) == 3)
    assert seen_prices(socket)[-1] == (INFY_TOKEN, 1490)


async def test_an_idle_socket_gets_one_byte_heartbeats(socket: Ticker) -> None:
    await socket.until(lambda seen: len(seen.binaries) == 2)
    assert socket.binaries == [b"\x00", b"\x00"]


@pytest.mark.parametrize(
    "message",
    ["no json", "[]", "{}", '{"a":"dance","v":[]}', '{"a":"subscribe","v":"x"}',
     '{"a":"subscribe","v":["x"]}', '{"a":"subscribe","v":[true]}',
     '{"a":"mode","v":["loud",[1]]}', '{"a":"mode","v":["ltp"]}', '{"a":["subscribe"],"v":[1]}'],
)  # fmt: skip
async def test_a_message_that_makes_no_sense_gets_an_error_frame_and_the_socket_lives(socket: Ticker, message: str) -> None:
    await socket.websocket.send_str(message)
    await socket.until(lambda seen: any(text["type"] == "error" for text in seen.texts))
    assert isinstance(socket.texts[-1]["data"], str)
    await socket.say({"a": "subscribe", "v": [TCS_TOKEN]})
    await socket.until(lambda seen: bool(seen.frames))


async def test_more_than_three_thousand_instruments_are_an_error(socket: Ticker, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ticker_module.INSTRUMENTS_PER_CONNECTION == 3000
    monkeypatch.setattr(ticker_module, "INSTRUMENTS_PER_CONNECTION", 2)
    await socket.say({"a": "subscribe", "v": [TCS_TOKEN, INFY_TOKEN]})
    await socket.say({"a": "subscribe", "v": [NIFTY_TOKEN]})
    await socket.until(lambda seen: any(text["type"] == "error" for text in seen.texts))
    assert seen_prices(socket) == [(TCS_TOKEN, 3600), (INFY_TOKEN, 1500)]


async def test_binary_messages_and_pings_are_answered(socket: Ticker) -> None:
    await socket.websocket.send_bytes(b'{"a":"subscribe","v":[%d]}' % TCS_TOKEN)
    await socket.until(lambda seen: bool(seen.frames))
    await socket.websocket.ping()


async def test_order_updates_tell_changes_but_not_the_placing(socket: Ticker, kite: KiteClient, sim: RunningSimulator) -> None:
    sim.set_depth("TCS", 4)
    partly = await kite.placed(tag="a")
    resting = await kite.placed(tag="b", price="3500", exchange="BSE")
    await kite.modify(resting, price="3510")
    await kite.cancel(resting)
    sim.set_depth("TCS", None)
    await socket.until(lambda seen: len(seen.orders) >= 4)
    assert [(order["tag"], order["status"], order["filled_quantity"], order["unfilled_quantity"]) for order in socket.orders] == [
        ("a", "UPDATE", 4, 6), ("b", "UPDATE", 0, 10), ("b", "CANCELLED", 0, 10), ("a", "COMPLETE", 10, 0),
    ]  # fmt: skip
    assert socket.orders[0]["order_id"] == partly
    assert {"user_id", "app_id", "checksum", "guid", "meta", "exchange_order_id"} <= set(socket.orders[0])
    assert (socket.orders[0]["checksum"], "account_id" in socket.orders[0]) == ("", False)


async def test_order_updates_reach_every_socket_of_the_account_and_no_other(
    socket: Ticker, kite: KiteClient, sim: RunningSimulator
) -> None:
    second = await open_ticker(kite.session, sim.kite_ws_url, kite.account)
    bobs = await open_ticker(kite.session, sim.kite_ws_url, sim.account("bob"))
    sim.place_by_hand("alice", symbol="TCS", side="BUY", quantity=5)
    sim.place_by_hand("bob", symbol="TCS", side="BUY", quantity=7)
    for one, quantity in ((socket, 5), (second, 5), (bobs, 7)):
        await one.until(lambda seen: len(seen.orders) == 1)
        assert (one.orders[0]["quantity"], one.orders[0]["tag"]) == (quantity, None)
    await second.close()
    await bobs.close()


async def test_a_dead_token_closes_its_sockets(socket: Ticker, kite: KiteClient, sim: RunningSimulator) -> None:
    sim.expire_token("alice")
    async with asyncio.timeout(10):
        await socket.closed.wait()
    assert socket.websocket.close_code == 1001
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await open_ticker(kite.session, sim.kite_ws_url, kite.account)


async def test_a_client_that_does_not_read_is_cut_off(sim: RunningSimulator) -> None:
    from simulator.dialects.kite.hub import Socket

    class Full(asyncio.Transport):
        written, aborted, backlog = b"", False, 0

        def write(self, data: bytes) -> None:
            self.written += data

        def get_write_buffer_size(self) -> int:
            return self.backlog

        def is_closing(self) -> bool:
            return self.aborted

        def abort(self) -> None:
            self.aborted = True

    transport = Full()
    socket = Socket(transport, "k")
    socket.write(b"one")
    transport.backlog = 9 * 1024 * 1024
    socket.write(b"two")
    socket.write(b"three")
    assert (transport.written, transport.aborted) == (b"onetwo", True)


async def test_thousands_of_subscribers_get_a_packet_that_was_encoded_once(
    sim: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simulator.dialects.kite import hub as hub_module

    class Quiet(hub_module.Socket):
        __slots__ = ("frames",)

        def __init__(self, name: str) -> None:
            self.api_key, self.modes, self.frames, self.sent_at = name, {}, [], 0.0

        def write(self, frame: bytes) -> None:
            self.frames.append(frame)

    encoded: list[str] = []
    original = hub_module.packet
    monkeypatch.setattr(hub_module, "packet", lambda market, token, mode: encoded.append(mode) or original(market, token, mode))
    sockets = [Quiet(f"k{number}") for number in range(2000)]
    for number, one in enumerate(sockets):
        sim.simulator.kite.hub.set_mode(one, "full" if number % 2 else "ltp", [TCS_TOKEN])
    encoded.clear()
    sim.set_price("TCS", 3500)
    assert sorted(encoded) == ["full", "ltp"]
    assert len({id(one.frames[-1]) for one in sockets}) == 2
