"""Binary packets, byte for byte."""

import base64
import struct

import pytest

from simulator.dialects.common.frames import binary_frame, text_frame
from simulator.dialects.kite.packets import message, packet, raw_ltp
from simulator.dialects.kite.tokens import divisor, instrument_token
from simulator.exchange.instruments import Instrument, Kind
from simulator.exchange.market import Market
from simulator.exchange.orders import Side
from simulator.money import PRICE_SCALE, to_price
from tests.simulator.market import NOON, Bench

PUBLIC_QUOTE = "AAY6AQACZoMAAAABAAJlaQAR8bIAA+n/AAWANwACZPMAAmc8AAJhyQACZGw="
"""The 44-byte quote packet among the broker's public fixtures: INFY at 1573.15."""


def infy() -> Market:
    market = Market(Instrument("NSE", "INFY", "INFOSYS", 1594, Kind.EQUITY, 500, 1, 1000), price=to_price("1567.8"), at_ns=NOON)
    market.open, market.high, market.low = to_price("1569.15"), to_price(1575), to_price("1561.05")
    market.last_price, market.last_quantity = to_price("1573.15"), 1
    market.volume, market.traded_value = 1_175_986, 1_175_986 * to_price("1570.33")
    return market


def test_a_quote_packet_equals_the_public_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    from simulator.exchange.market import Level

    shown = {Side.BUY: [Level(1, 256_511, 1)], Side.SELL: [Level(1, 360_503, 1)]}
    monkeypatch.setattr(Market, "depth_rows", lambda self, side: shown[side])
    assert base64.b64encode(packet(infy(), 408065, "quote")).decode() == PUBLIC_QUOTE


def test_the_modes_of_a_share_are_8_44_and_184_bytes_each_beginning_with_the_one_before() -> None:
    ltp, quote, full = (packet(infy(), 408065, mode) for mode in ("ltp", "quote", "full"))
    assert (len(ltp), len(quote), len(full)) == (8, 44, 184)
    assert quote.startswith(ltp)
    assert full.startswith(quote)


def test_the_full_packet_carries_times_and_five_bids_then_five_asks() -> None:
    full = packet(infy(), 408065, "full")
    last_trade, interest, high, low, timestamp = struct.unpack(">5i", full[44:64])
    assert (last_trade, interest, high, low, timestamp) == (NOON // 10**9, 0, 0, 0, NOON // 10**9)
    rows = [struct.unpack(">iiHxx", full[at : at + 12]) for at in range(64, 184, 12)]
    assert [price for _, price, _ in rows] == [157310, 157305, 157300, 157295, 157290, 157320, 157325, 157330, 157335, 157340]
    assert [(quantity, orders) for quantity, _, orders in rows[:2]] == [(500, 1), (1000, 2)]


def test_an_index_has_8_28_and_32_bytes_with_high_low_open_close_and_the_change() -> None:
    index = Market(Instrument("NSE", "NIFTY 50", "NIFTY 50", 1001, Kind.INDEX, 500, 0, 0), price=24_400 * PRICE_SCALE, at_ns=NOON)
    index.open, index.high, index.low, index.last_price = (to_price(value) for value in (24_410, 24_500, 24_300, 24_450))
    token = instrument_token(index.instrument)
    assert token == 256265
    ltp, quote, full = (packet(index, token, mode) for mode in ("ltp", "quote", "full"))
    assert (len(ltp), len(quote), len(full)) == (8, 28, 32)
    assert struct.unpack(">7i", quote) == (token, 2_445_000, 2_450_000, 2_430_000, 2_441_000, 2_440_000, 5_000)
    assert struct.unpack(">i", full[28:]) == (NOON // 10**9,)


@pytest.mark.parametrize(
    ("exchange", "segment", "price", "on_the_wire"),
    [("NSE", 1, "3600.05", 360_005), ("NFO", 2, "0.05", 5), ("CDS", 3, "83.2575", 832_575_000), ("BSE", 4, "22.4", 2_240),
     ("BCD", 6, "83.2575", 832_575), ("MCX", 7, "5862", 586_200)],
)  # fmt: skip
def test_prices_are_scaled_by_the_segments_divisor(exchange: str, segment: int, price: str, on_the_wire: int) -> None:
    token = instrument_token(Instrument(exchange, "X", "X", 1000, Kind.EQUITY, 500, 1, 1))
    assert token == 256_000 + segment
    assert struct.unpack(">Ii", raw_ltp(token, to_price(price))) == (token, on_the_wire)
    assert on_the_wire / divisor(token) == float(price)


def test_a_message_counts_its_packets_and_gives_each_its_length() -> None:
    assert message([b"12345678", b"1234"]) == b"\x00\x02\x00\x0812345678\x00\x041234"


@pytest.mark.parametrize(
    ("length", "header"), [(5, b"\x82\x05"), (126, b"\x82\x7e\x00\x7e"), (70_000, b"\x82\x7f" + (70_000).to_bytes(8, "big"))]
)
def test_frames_of_every_size_have_the_right_header(length: int, header: bytes) -> None:
    assert binary_frame(bytes(length)) == header + bytes(length)
    assert text_frame(b"{}") == b"\x81\x02{}"


def test_depth_shows_resting_orders_together_with_the_makers(bench: Bench) -> None:
    bench.place("BUY", 70, 3599, fill_cap=0)
    bench.place("BUY", 30, "3599.90")
    rows = bench.tcs.depth_rows(Side.BUY)
    assert [(row.price / PRICE_SCALE, row.quantity, row.orders) for row in rows] == [
        (3599.9, 530, 2), (3599.8, 1000, 2), (3599.7, 1500, 3), (3599.6, 2000, 4), (3599.5, 2500, 5),
    ]  # fmt: skip
    bench.exchange.set_depth("NSE:TCS", 0)
    assert [(row.price / PRICE_SCALE, row.quantity) for row in bench.tcs.depth_rows(Side.BUY)] == [(3599.9, 30), (3599.0, 70)]
