"""Kite's binary frames. The encoder here is written from the layout tables on its own and shares nothing with the decoder."""

import base64
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.zerodha.ticks import (
    DepthEntry,
    Mode,
    Packet,
    decode_frame,
    decode_last_prices,
    decode_packet,
    decode_prices,
    unit_of,
)
from trading.ports.broker import UnreadableAnswer

# A quote packet of INFY that the broker publishes for testing clients: a bare packet, without the frame around it.
PUBLIC_QUOTE = base64.b64decode("AAY6AQACZoMAAAABAAJlaQAR8bIAA+n/AAWANwACZPMAAmc8AAJhyQACZGw=")


def number(value: int, width: int = 4) -> bytes:
    return value.to_bytes(width, "big", signed=value < 0)


def frame(*packets: bytes) -> bytes:
    return number(len(packets), 2) + b"".join(number(len(packet), 2) + packet for packet in packets)


def test_the_brokers_public_quote_packet_decodes_to_its_published_values() -> None:
    assert decode_packet(PUBLIC_QUOTE) == Packet(
        token=408065,
        mode=Mode.QUOTE,
        last_price=Decimal("1573.15"),
        last_quantity=1,
        average_price=Decimal("1570.33"),
        volume=1175986,
        buy_quantity=256511,
        sell_quantity=360503,
        open=Decimal("1569.15"),
        high=Decimal("1575.00"),
        low=Decimal("1561.05"),
        close=Decimal("1567.80"),
    )


def test_a_full_packet_gives_times_open_interest_and_both_sides_of_the_book() -> None:
    bids = b"".join(number(10 + n) + number(100 - n) + number(1 + n, 2) + b"\0\0" for n in range(5))
    asks = b"".join(number(20 + n) + number(200 + n) + number(65_535 - n, 2) + b"\xff\xff" for n in range(5))
    times = number(1_700_000_000) + number(7) + number(9) + number(5) + number(1_700_000_001)
    packet = decode_packet(PUBLIC_QUOTE + times + bids + asks)
    assert packet.mode is Mode.FULL
    assert packet.last_price == Decimal("1573.15")
    assert packet.last_trade_time == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert packet.exchange_time == datetime(2023, 11, 14, 22, 13, 21, tzinfo=UTC)
    assert (packet.open_interest, packet.open_interest_high, packet.open_interest_low) == (7, 9, 5)
    assert packet.bids == tuple(DepthEntry(10 + n, Decimal(100 - n) / 100, 1 + n) for n in range(5))
    assert packet.asks == tuple(DepthEntry(20 + n, Decimal(200 + n) / 100, 65_535 - n) for n in range(5))


def test_an_index_packet_has_high_and_low_before_open_and_close() -> None:
    token = 256265
    prices = b"".join(number(value) for value in (token, 2_500_010, 2_600_000, 2_400_000, 2_450_000, 2_475_050, -24_990))
    quote, full = decode_packet(prices), decode_packet(prices + number(1_700_000_000))
    assert (quote.mode, full.mode) == (Mode.QUOTE, Mode.FULL)
    assert (quote.high, quote.low, quote.open, quote.close) == (26_000, 24_000, 24_500, Decimal("24750.50"))
    assert (quote.last_price, quote.change) == (Decimal("25000.10"), Decimal("-249.90"))
    assert quote.exchange_time is None
    assert full.exchange_time == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_a_time_of_zero_means_never() -> None:
    assert decode_packet(PUBLIC_QUOTE + bytes(140)).last_trade_time is None


@pytest.mark.parametrize(
    ("segment", "price"),
    [*((segment, "12345.67") for segment in (1, 2, 4, 5, 7, 8, 9)), (3, "0.1234567"), (6, "123.4567"), (12, "123.4567")],
)
def test_each_segment_has_its_own_price_unit(segment: int, price: str) -> None:
    token, raw = 1000 * 256 + segment, 1_234_567
    assert decode_packet(number(token) + number(raw)).last_price == Decimal(price)


def test_a_segment_nobody_knows_is_unreadable() -> None:
    with pytest.raises(UnreadableAnswer, match="segment 11"):
        unit_of(1000 * 256 + 11)


tokens = st.builds(
    lambda exchange_token, segment: exchange_token * 256 + segment, st.integers(1, 8_000_000), st.sampled_from([1, 2, 9])
)
prices = st.integers(-(2**31), 2**31 - 1)
packets = st.tuples(tokens, prices, st.sampled_from([8, 28, 32, 44, 184]), st.integers(0, 2**32 - 1))


def encoded(packet: tuple[int, int, int, int]) -> bytes:
    token, raw, length, seconds = packet
    data = bytearray(number(token) + number(raw) + b"\x01" * (length - 8))
    at = {184: 44, 32: 28}.get(length)
    if at is not None:
        data[at : at + 4] = number(seconds)
    return bytes(data)


@given(st.lists(packets, max_size=20))
def test_every_packet_comes_back_in_order_with_its_exact_price(listed: list[tuple[int, int, int, int]]) -> None:
    whole = frame(*(encoded(packet) for packet in listed))
    assert decode_last_prices(whole) == [(token, raw) for token, raw, _, _ in listed]
    assert decode_prices(whole) == [(token, raw, seconds if length in (184, 32) else 0) for token, raw, length, seconds in listed]
    assert [(p.token, p.last_price * 100) for p in decode_frame(whole)] == [(token, raw) for token, raw, _, _ in listed]


@given(st.lists(packets, min_size=1, max_size=5), st.data())
def test_a_frame_cut_anywhere_is_unreadable_rather_than_short(
    listed: list[tuple[int, int, int, int]], data: st.DataObject
) -> None:
    whole = frame(*(encoded(packet) for packet in listed))
    cut = whole[: data.draw(st.integers(2, len(whole) - 1))]
    for decode in (decode_last_prices, decode_prices, decode_frame):
        with pytest.raises(UnreadableAnswer):
            decode(cut)


@given(st.binary(max_size=200))
def test_junk_is_unreadable_and_nothing_worse(junk: bytes) -> None:
    for decode in (decode_last_prices, decode_prices, decode_frame):
        try:
            decode(junk)
        except UnreadableAnswer:
            continue


@pytest.mark.parametrize("heartbeat", [b"", b"\x00", b"\x01", b"\x00\x00"])
def test_a_heartbeat_holds_nothing(heartbeat: bytes) -> None:
    assert decode_last_prices(heartbeat) == []
    assert decode_prices(heartbeat) == []
    assert decode_frame(heartbeat) == ()


@pytest.mark.parametrize(
    "damaged", [frame(PUBLIC_QUOTE) + b"\0", frame(PUBLIC_QUOTE[:7]), number(2, 2) + frame(PUBLIC_QUOTE)[2:]]
)
def test_bytes_that_do_not_add_up_are_unreadable(damaged: bytes) -> None:
    for decode in (decode_last_prices, decode_prices, decode_frame):
        with pytest.raises(UnreadableAnswer):
            decode(damaged)


def test_a_longer_packet_than_we_know_still_gives_its_price_but_not_its_details() -> None:
    longer = frame(PUBLIC_QUOTE + bytes(200))
    assert decode_last_prices(longer) == [(408065, 157315)]
    assert decode_prices(longer) == [(408065, 157315, 0)]
    with pytest.raises(UnreadableAnswer, match="244 bytes"):
        decode_frame(longer)
