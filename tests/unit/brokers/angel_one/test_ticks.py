"""Packets made by hand from the documented offsets."""

import math
import struct
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.angel_one.ticks import DepthEntry, Mode, decode_packet, decode_price
from trading.ports.broker import UnreadableAnswer

SECONDS = 1_700_000_000
LENGTHS = {1: 51, 2: 123, 3: 379}


def packet(mode: int = 3, *, exchange: int = 1, token: str = "3045", ltp: int = 56_820, ms: int = SECONDS * 1_000 + 250) -> bytes:
    """Every field at its documented offset with a value of its own."""
    message = bytearray(379)
    struct.pack_into("<BB25sqqq", message, 0, mode, exchange, token.encode(), 77, ms, ltp)
    struct.pack_into("<qqq", message, 51, 5, 56_711, 123_456)
    struct.pack_into("<dd", message, 75, 1_000.0, 2_000.0)
    struct.pack_into("<qqqq", message, 91, 56_000, 57_000, 55_500, 56_500)
    struct.pack_into("<qqq", message, 123, SECONDS, 9, 0)
    for row in range(10):
        # Sales first: only the flag tells the sides apart.
        struct.pack_into("<hqqh", message, 147 + 20 * row, int(row >= 5), 10 + row, 56_800 + row, row)
    struct.pack_into("<qqqq", message, 347, 62_500, 51_140, 70_000, 40_005)
    return bytes(message[: LENGTHS.get(mode, 379)])


def test_a_snap_quote_is_decoded_whole() -> None:
    found = decode_packet(packet())
    assert (found.exchange_type, found.token, found.mode, found.sequence) == (1, "3045", Mode.SNAP_QUOTE, 77)
    assert found.exchange_time == datetime(2023, 11, 14, 22, 13, 20, 250_000, tzinfo=UTC)
    assert found.last_trade_time == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert [str(price) for price in (found.last_price, found.average_price, found.open, found.high, found.low, found.close)] == [
        "568.20",
        "567.11",
        "560.00",
        "570.00",
        "555.00",
        "565.00",
    ]
    assert (found.last_quantity, found.volume, found.buy_quantity, found.sell_quantity) == (5, 123_456, 1_000, 2_000)
    assert found.open_interest == 9
    limits = (found.upper_circuit, found.lower_circuit, found.year_high, found.year_low)
    assert limits == (Decimal("625.00"), Decimal("511.40"), Decimal("700.00"), Decimal("400.05"))
    assert found.asks[0] == DepthEntry(10, Decimal("568.00"), 0)
    assert found.bids[0] == DepthEntry(15, Decimal("568.05"), 5)
    assert (len(found.bids), len(found.asks)) == (5, 5)


def test_shorter_kinds_carry_less() -> None:
    quote, ltp = decode_packet(packet(2)), decode_packet(packet(1))
    assert (quote.close, quote.last_trade_time, quote.bids) == (Decimal("565.00"), None, ())
    assert (ltp.last_price, ltp.volume, ltp.open) == (Decimal("568.20"), None, None)


@pytest.mark.parametrize("mode", [1, 2, 3])
def test_the_price_alone_is_found_in_every_kind(mode: int) -> None:
    time = SECONDS * 1_000 if mode == 3 else SECONDS * 1_000 + 250
    assert decode_price(packet(mode)) == (1, "3045", 56_820, time)


def test_a_last_trade_in_milliseconds_is_taken_as_such_and_never_means_never() -> None:
    message = bytearray(packet())
    struct.pack_into("<q", message, 123, SECONDS * 1_000 + 7)
    assert decode_price(bytes(message))[3] == SECONDS * 1_000 + 7
    struct.pack_into("<q", message, 123, 0)
    assert decode_price(bytes(message))[3] == 0
    assert decode_packet(bytes(message)).last_trade_time is None


def test_currencies_count_in_seven_places() -> None:
    assert str(decode_packet(packet(1, exchange=13, ltp=835_025_000)).last_price) == "83.5025000"


def test_longer_packets_than_today_still_give_their_price() -> None:
    assert decode_price(packet() + b"new")[2] == 56_820


def test_a_token_may_fill_its_field() -> None:
    assert decode_price(packet(1, token="9" * 25))[1] == "9" * 25


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x01",
        packet(1)[:-1],
        packet(2)[:-1],
        packet(3)[:-1],
        packet(3)[:51],
        packet(4),
        packet(0),
        packet(1, token=""),
        packet(1, token="\xff"),
    ],
)
def test_a_damaged_message_is_unreadable(message: bytes) -> None:
    for decode in (decode_price, decode_packet):
        with pytest.raises(UnreadableAnswer):
            decode(message)


def test_an_unknown_segment_or_an_impossible_value_is_unreadable() -> None:
    broken = bytearray(packet())
    struct.pack_into("<d", broken, 75, math.nan)
    for message in (packet(1, exchange=99), packet(1, ms=2**62), packet(1, ms=-(2**62)), bytes(broken)):
        with pytest.raises(UnreadableAnswer):
            decode_packet(message)
