"""Dhan's packets, built byte by byte from its documented layouts, and prices that a float cannot hold."""

import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.dhan.ticks import (
    PAISA,
    DepthRow,
    Goodbye,
    Kind,
    Packet,
    Price,
    decode_frame,
    decode_prices,
    exact_float,
    price,
    trade_time,
)
from trading.ports.broker import UnreadableAnswer

NOW = datetime(2026, 9, 1, 6, 0, tzinfo=UTC)


def raw(value: float) -> int:
    """The four bytes of a float, as a number."""
    (number,) = struct.unpack("<I", struct.pack("<f", value))
    return int(number)


def ticker(security_id: int = 2885, last: float = 1573.15, seconds: int = 1_788_243_000) -> bytes:
    return struct.pack("<BHBIfI", 2, 16, 1, security_id, last, seconds)


def full() -> bytes:
    depth = b"".join(struct.pack("<IIHHff", 10 + n, 20 + n, 1 + n, 2 + n, 1573.1 - n, 1573.2 + n) for n in range(5))
    head = (8, 162, 1, 2885, 1573.15, 5, 1_788_243_000, 1570.05, 123_456, 700, 800, 11, 12, 10, 1560.0, 1559.5, 1580.25, 1555.3)
    return struct.pack("<BHBIfHIfIIIIIIffff", *head) + depth


def test_a_ticker_packet_says_its_price_as_it_came() -> None:
    assert decode_prices(ticker()) == [Price(1, 2885, raw(1573.15), 1_788_243_000)]


def test_several_packets_in_one_frame_are_all_read() -> None:
    frame = ticker(2885) + struct.pack("<BHBIfI", 6, 16, 1, 2885, 1570.0, 0) + ticker(11536, 3500.0) + full()
    assert [one.security_id for one in decode_prices(frame) if isinstance(one, Price)] == [2885, 11536, 2885]


def test_a_quote_packet_is_read_whole() -> None:
    head = (4, 50, 1, 2885, 1573.15, 5, 1_788_243_000, 1570.05, 123_456, 700, 800, 1560.0, 1559.5, 1580.25, 1555.3)
    (packet,) = decode_frame(struct.pack("<BHBIfHIfIIIffff", *head))
    assert packet == Packet(
        Kind.QUOTE,
        1,
        2885,
        last_price=Decimal("1573.15"),
        last_quantity=5,
        last_trade_seconds=1_788_243_000,
        average_price=Decimal("1570.05"),
        volume=123_456,
        sell_quantity=700,
        buy_quantity=800,
        open=Decimal("1560.00"),
        close=Decimal("1559.50"),
        high=Decimal("1580.25"),
        low=Decimal("1555.30"),
    )


def test_a_full_packet_is_read_whole_with_its_depth() -> None:
    (packet,) = decode_frame(full())
    assert (packet.last_price, packet.open, packet.close) == (Decimal("1573.15"), 1560, Decimal("1559.5"))
    assert (packet.high, packet.low, packet.volume) == (Decimal("1580.25"), Decimal("1555.3"), 123_456)
    assert (packet.open_interest, packet.open_interest_high, packet.open_interest_low) == (11, 12, 10)
    assert (packet.sell_quantity, packet.buy_quantity) == (700, 800)
    assert len(packet.depth) == 5
    assert packet.depth[1] == DepthRow(11, 21, 2, 3, Decimal("1572.10"), Decimal("1574.20"))


def test_small_packets_are_read() -> None:
    frame = struct.pack("<BHBII", 5, 12, 2, 49081, 77) + struct.pack("<BHBIfI", 6, 16, 1, 11536, 3499.9, 3)
    frame += struct.pack("<BHBI", 7, 8, 1, 0) + struct.pack("<BHBIH", 50, 10, 0, 0, 807)
    interest, close, market, goodbye = decode_frame(frame)
    assert (interest.kind, interest.open_interest) == (Kind.OPEN_INTEREST, 77)
    assert (close.close, close.open_interest) == (Decimal("3499.90"), 3)
    assert market.kind is Kind.MARKET_STATUS
    assert goodbye.reason == 807
    assert decode_prices(frame) == [Goodbye(807)]


@pytest.mark.parametrize("frame", [b"", b"\x00", b"\x00" * 8, b"\x00\x01", struct.pack("<BHBI", 0, 8, 1, 0)])
def test_heartbeats_say_nothing(frame: bytes) -> None:
    assert decode_prices(frame) == []
    assert decode_frame(frame) == ()


def test_kinds_nobody_knows_are_passed_over() -> None:
    frame = struct.pack("<BHBI20s", 41, 28, 1, 2885, b"") + ticker()
    assert decode_prices(frame) == [Price(1, 2885, raw(1573.15), 1_788_243_000)]


def test_a_packet_that_grew_at_its_end_still_gives_its_price() -> None:
    grown = struct.pack("<BHBIfI", 2, 20, 1, 2885, 1573.15, 7) + b"more"
    assert decode_prices(grown + ticker(11536)) == [Price(1, 2885, raw(1573.15), 7), Price(1, 11536, raw(1573.15), 1_788_243_000)]


@pytest.mark.parametrize("length", [0, 8, 16 << 8, 65_535])
def test_a_known_kind_is_read_by_its_layout_when_its_length_is_odd(length: int) -> None:
    frame = struct.pack("<BHBIfI", 2, length, 1, 2885, 1573.15, 7)
    assert decode_prices(frame) == [Price(1, 2885, raw(1573.15), 7)]


@pytest.mark.parametrize("frame", [ticker()[:-1], ticker() + b"\x02", full()[:161], struct.pack("<BHBI", 99, 3, 1, 0)])
def test_a_damaged_frame_is_unreadable(frame: bytes) -> None:
    for decode in (decode_prices, decode_frame):
        with pytest.raises(UnreadableAnswer):
            decode(frame)


def test_a_price_is_what_was_written_not_what_a_float_holds() -> None:
    assert str(exact_float(raw(1573.15)))[:12] == "1573.1500244"
    assert str(price(raw(1573.15))) == "1573.15"
    assert price(raw(3489.95), Decimal("0.05")) == Decimal("3489.95")


def test_a_price_finer_than_a_paisa_is_told_by_its_tick() -> None:
    assert price(raw(83.1225), Decimal("0.0025")) == Decimal("83.1225")


def test_a_price_off_its_tick_is_told_to_the_paisa() -> None:
    assert price(raw(83.12), Decimal("0.05")) == Decimal("83.12")


def test_where_floats_are_coarser_than_a_paisa_only_the_tick_tells_the_price() -> None:
    assert price(raw(145_237.35), Decimal("0.05")) == Decimal("145237.35")
    assert price(raw(145_237.35)) != Decimal("145237.35")


@given(paise=st.integers(min_value=0, max_value=6_500_000))
def test_every_price_in_paise_comes_back_exactly(paise: int) -> None:
    exact = Decimal(paise) / 100
    assert price(raw(float(exact))) == exact


@given(steps=st.integers(min_value=1, max_value=40_000_000))
def test_every_price_on_a_coarse_tick_comes_back_exactly(steps: int) -> None:
    exact = Decimal(steps) * Decimal("0.05")
    assert price(raw(float(exact)), Decimal("0.05")) == exact or exact > 400_000


@given(number=st.integers(min_value=0, max_value=2**32 - 1))
def test_any_four_bytes_are_a_price_or_unreadable(number: int) -> None:
    (value,) = struct.unpack("<f", struct.pack("<I", number))
    try:
        found = price(number)
    except UnreadableAnswer:
        assert not abs(value) < 1e12
    else:
        assert abs(found - Decimal(value)) <= max(PAISA, abs(Decimal(value)) / 10**6)


@pytest.mark.parametrize(
    ("seconds", "moment"),
    [
        (int(NOW.timestamp()) - 60, NOW - timedelta(minutes=1)),
        (int(NOW.timestamp()) + 19_800 - 60, NOW - timedelta(minutes=1)),
        (int(NOW.timestamp()) + 2, NOW + timedelta(seconds=2)),
        (0, None),
        (-5, None),
    ],
)
def test_the_time_of_a_trade_is_told_in_both_forms_it_comes_in(seconds: int, moment: datetime | None) -> None:
    assert trade_time(seconds, now=NOW) == moment
