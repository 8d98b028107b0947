"""Dhan's binary market data: bytes in, packets out. Pure, little-endian, prices exact.

A frame holds one packet or several back to back. A packet's first eight bytes say its kind, its length, its segment and its
security id. Prices are four-byte floats in rupees: 1573.15 travels as 1573.1500244140625. The bytes are read exactly and matched
with the price they stand for, a multiple of the instrument's tick or else of a paisa; nothing is ever computed in floats.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from enum import IntEnum
from functools import lru_cache

from trading.ports.broker import UnreadableAnswer

PAISA = Decimal("0.01")
_HEADER = struct.Struct("<BHBi")
# After the header, in the order of the wire; prices as raw bytes (I), quantities unsigned.
_TICKER = struct.Struct("<Ii")
_QUOTE = struct.Struct("<IHiIIIIIIII")
_FULL = struct.Struct("<IHiIIIIIIIIIII")
_DEPTH_ROW = struct.Struct("<IIHHII")
_REASON = struct.Struct("<H")
_NUMBER = struct.Struct("<I")
_DEPTH_LEVELS = 5
_SIGN, _EXPONENT_BITS, _MANTISSA_BITS = 1 << 31, 0xFF, 23
# Floats from a trillion rupees on, infinity and what is not a number.
_LARGEST_EXPONENT = 127 + 39

# Seen shifted by that much: Indian wall-clock time counted as if it were UTC.
_SHIFT = timedelta(hours=5, minutes=30)
_TOO_FAR_AHEAD = timedelta(hours=1)


class Kind(IntEnum):
    HEARTBEAT = 0
    TICKER = 2
    QUOTE = 4
    OPEN_INTEREST = 5
    PREVIOUS_CLOSE = 6
    MARKET_STATUS = 7
    FULL = 8
    DISCONNECT = 50


_LENGTHS: dict[int, int] = {
    Kind.TICKER: 16,
    Kind.QUOTE: 50,
    Kind.OPEN_INTEREST: 12,
    Kind.PREVIOUS_CLOSE: 16,
    Kind.MARKET_STATUS: 8,
    Kind.FULL: 162,
    Kind.DISCONNECT: 10,
}
PRICED = frozenset({Kind.TICKER, Kind.QUOTE, Kind.FULL})
# Where a priced packet has its last trade's time; in all of them the last price comes right after the header.
_TIME_AT = {Kind.TICKER: 12, Kind.QUOTE: 14, Kind.FULL: 14}


@dataclass(frozen=True, slots=True)
class Price:
    """A packet's last price as it came: `raw` are its four bytes as a number, `seconds` its last trade's time."""

    segment: int
    security_id: int
    raw: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The server is about to close, with its reason: 805 too many connections, 806 no data plan, 807 to 810 the token."""

    reason: int


@dataclass(frozen=True, slots=True)
class DepthRow:
    bid_quantity: int
    ask_quantity: int
    bid_orders: int
    ask_orders: int
    bid_price: Decimal
    ask_price: Decimal


@dataclass(frozen=True, slots=True)
class Packet:
    """One instrument's update. What its kind does not carry is None; times as on the wire, see `trade_time`."""

    kind: Kind
    segment: int
    security_id: int
    last_price: Decimal | None = None
    last_quantity: int | None = None
    last_trade_seconds: int | None = None
    average_price: Decimal | None = None
    volume: int | None = None
    sell_quantity: int | None = None
    buy_quantity: int | None = None
    open: Decimal | None = None
    close: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    open_interest: int | None = None
    open_interest_high: int | None = None
    open_interest_low: int | None = None
    depth: tuple[DepthRow, ...] = ()
    reason: int | None = None


def decode_prices(frame: bytes) -> list[Price | Goodbye]:
    """The last price of every packet that has one, and the server's goodbyes; other kinds are passed over. Raises
    UnreadableAnswer for a damaged frame."""
    found: list[Price | Goodbye] = []
    for kind, offset, _ in _packets(frame):
        if kind in PRICED:
            _, _, segment, security_id = _HEADER.unpack_from(frame, offset)
            (raw,) = _NUMBER.unpack_from(frame, offset + 8)
            (seconds,) = _NUMBER.unpack_from(frame, offset + _TIME_AT[Kind(kind)])
            found.append(Price(segment, security_id, raw, seconds))
        elif kind == Kind.DISCONNECT:
            found.append(Goodbye(_REASON.unpack_from(frame, offset + 8)[0]))
    return found


def decode_frame(frame: bytes) -> tuple[Packet, ...]:
    """Every packet of a known kind with everything it carries. Raises UnreadableAnswer for a damaged frame."""
    return tuple(_decode(frame, offset, Kind(kind)) for kind, offset, _ in _packets(frame) if kind in _LENGTHS)


def _packets(frame: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, offset and length of each packet.

    A known kind is as long as its layout, or longer when it says so and the frame has it: fields may be added at the end. An
    unknown kind is as long as it says.
    """
    offset = 0
    while offset < len(frame):
        if len(frame) - offset < _HEADER.size:
            if frame[offset] == Kind.HEARTBEAT:
                return
            raise UnreadableAnswer(f"a frame of {len(frame)} bytes ends inside a packet's header")
        kind, said, _, _ = _HEADER.unpack_from(frame, offset)
        least = _LENGTHS.get(kind, _HEADER.size)
        length = said if said > least and offset + said <= len(frame) else least
        if offset + length > len(frame) or (kind not in _LENGTHS and said < _HEADER.size and kind != Kind.HEARTBEAT):
            raise UnreadableAnswer(f"a packet of kind {kind} does not fit into a frame of {len(frame)} bytes")
        yield kind, offset, length
        offset += length


def _decode(frame: bytes, offset: int, kind: Kind) -> Packet:
    _, _, segment, security_id = _HEADER.unpack_from(frame, offset)
    body = offset + _HEADER.size
    match kind:
        case Kind.TICKER:
            last, seconds = _TICKER.unpack_from(frame, body)
            return Packet(kind, segment, security_id, last_price=price(last), last_trade_seconds=seconds)
        case Kind.PREVIOUS_CLOSE:
            close, interest = _TICKER.unpack_from(frame, body)
            return Packet(kind, segment, security_id, close=price(close), open_interest=interest)
        case Kind.OPEN_INTEREST:
            return Packet(kind, segment, security_id, open_interest=_NUMBER.unpack_from(frame, body)[0])
        case Kind.QUOTE:
            return _quote(frame, body, segment=segment, security_id=security_id)
        case Kind.FULL:
            return _full(frame, body, segment=segment, security_id=security_id)
        case Kind.DISCONNECT:
            return Packet(kind, segment, security_id, reason=_REASON.unpack_from(frame, body)[0])
    return Packet(kind, segment, security_id)


def _quote(frame: bytes, body: int, *, segment: int, security_id: int) -> Packet:
    last, quantity, seconds, average, volume, sell, buy, opened, close, high, low = _QUOTE.unpack_from(frame, body)
    return Packet(
        Kind.QUOTE,
        segment,
        security_id,
        last_price=price(last),
        last_quantity=quantity,
        last_trade_seconds=seconds,
        average_price=price(average),
        volume=volume,
        sell_quantity=sell,
        buy_quantity=buy,
        open=price(opened),
        close=price(close),
        high=price(high),
        low=price(low),
    )


def _full(frame: bytes, body: int, *, segment: int, security_id: int) -> Packet:
    last, quantity, seconds, average, volume, sell, buy, interest, top, bottom, opened, close, high, low = _FULL.unpack_from(
        frame, body
    )
    rows = body + _FULL.size
    depth = _DEPTH_ROW.iter_unpack(frame[rows : rows + _DEPTH_LEVELS * _DEPTH_ROW.size])
    return Packet(
        Kind.FULL,
        segment,
        security_id,
        last_price=price(last),
        last_quantity=quantity,
        last_trade_seconds=seconds,
        average_price=price(average),
        volume=volume,
        sell_quantity=sell,
        buy_quantity=buy,
        open=price(opened),
        close=price(close),
        high=price(high),
        low=price(low),
        open_interest=interest,
        open_interest_high=top,
        open_interest_low=bottom,
        depth=tuple(DepthRow(bids, asks, bid, ask, price(b), price(a)) for bids, asks, bid, ask, b, a in depth),
    )


@lru_cache(maxsize=65_536)
def price(raw: int, tick: Decimal = PAISA) -> Decimal:
    """The price that four-byte float stands for, rupees: the multiple of the tick that is written with the same bytes, or else
    the nearest paisa. Raises UnreadableAnswer for what is no number.

    Above 131,072 rupees a float is coarser than a paisa: there only the tick tells the price.
    """
    exact = exact_float(raw)
    for step in (tick, PAISA):
        nearest = (exact / step).quantize(Decimal(1), rounding=ROUND_HALF_EVEN) * step
        if abs(nearest - exact) <= _half_a_step(raw):
            return nearest
    return exact.quantize(PAISA, rounding=ROUND_HALF_EVEN)


def exact_float(raw: int) -> Decimal:
    """The value of an IEEE 754 single-precision float, given its bytes as a number, digit for digit."""
    exponent, mantissa = (raw >> _MANTISSA_BITS) & _EXPONENT_BITS, raw & ((1 << _MANTISSA_BITS) - 1)
    if exponent > _LARGEST_EXPONENT:
        raise UnreadableAnswer("a price that is no number")
    if exponent:
        mantissa |= 1 << _MANTISSA_BITS
    size = Decimal(mantissa) * _power_of_two(raw)
    return -size if raw & _SIGN else size


def _power_of_two(raw: int) -> Decimal:
    """What the last bit of that float is worth."""
    exponent = max((raw >> _MANTISSA_BITS) & _EXPONENT_BITS, 1) - 150
    return Decimal(1 << exponent) if exponent >= 0 else Decimal(5**-exponent).scaleb(exponent)


def _half_a_step(raw: int) -> Decimal:
    """A price is written as the nearest float: it is at most this far from it."""
    return _power_of_two(raw) / 2


def trade_time(seconds: int, *, now: datetime) -> datetime | None:
    """A last trade's time, aware UTC; None: never traded.

    Documented as epoch seconds, and seen as Indian wall-clock time counted like UTC, 5:30 hours ahead. No trade is ahead of now,
    so that form gives itself away.
    """
    if seconds <= 0:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment - _SHIFT if moment - now > _TOO_FAR_AHEAD else moment
