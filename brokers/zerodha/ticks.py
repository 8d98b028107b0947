"""Kite's binary market data: bytes in, packets out. Pure, big-endian, prices exact.

A frame is a count, then each packet behind its length. The kind of a packet is its length: 8 (ltp), 44 (quote), 184 (full), and
for indices 28 (quote) and 32 (full). The token and the last price come first in all of them.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum

from trading.ports.broker import UnreadableAnswer

_COUNT = struct.Struct(">H")
_LENGTH_TOKEN_PRICE = struct.Struct(">HIi")
_SECONDS = struct.Struct(">I")
# token, then prices and quantities in the order of the wire; prices are signed, the rest is not.
_LTP = struct.Struct(">Ii")
_QUOTE = struct.Struct(">IiIiIIIiiii")
_FULL = struct.Struct(">IiIiIIIiiiiIIIII")
_INDEX_QUOTE = struct.Struct(">Iiiiiii")
_INDEX_FULL = struct.Struct(">IiiiiiiI")
_DEPTH_ENTRY = struct.Struct(">IiHxx")
_DEPTH_LEVELS = 5

LTP_LENGTH, QUOTE_LENGTH, FULL_LENGTH = 8, 44, 184
INDEX_QUOTE_LENGTH, INDEX_FULL_LENGTH = 28, 32
# Where a packet of that length has its last trade's time, counted from the length in front of it.
_TIME_AT = {FULL_LENGTH: 2 + 44, INDEX_FULL_LENGTH: 2 + 28}

# Value of one raw unit in rupees, by segment, the low byte of the token.
_PAISA, _FOUR_PLACES, _SEVEN_PLACES = Decimal("0.01"), Decimal("0.0001"), Decimal("0.0000001")
UNITS: dict[int, Decimal] = {
    1: _PAISA,  # NSE
    2: _PAISA,  # NFO
    3: _SEVEN_PLACES,  # CDS
    4: _PAISA,  # BSE
    5: _PAISA,  # BFO
    6: _FOUR_PLACES,  # BCD
    7: _PAISA,  # MCX
    8: _PAISA,  # MCXSX
    9: _PAISA,  # indices
    12: _FOUR_PLACES,  # NCO
}


class Mode(str, Enum):
    LTP = "ltp"
    QUOTE = "quote"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class DepthEntry:
    quantity: int
    price: Decimal
    orders: int


@dataclass(frozen=True, slots=True)
class Packet:
    """One instrument's update. What the packet's mode does not carry is None; times are aware UTC, whole seconds."""

    token: int
    mode: Mode
    last_price: Decimal
    last_quantity: int | None = None
    average_price: Decimal | None = None
    volume: int | None = None
    buy_quantity: int | None = None
    sell_quantity: int | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    close: Decimal | None = None
    change: Decimal | None = None
    last_trade_time: datetime | None = None
    open_interest: int | None = None
    open_interest_high: int | None = None
    open_interest_low: int | None = None
    exchange_time: datetime | None = None
    bids: tuple[DepthEntry, ...] = ()
    asks: tuple[DepthEntry, ...] = ()


def unit_of(token: int) -> Decimal:
    """What one raw price unit is worth, rupees. Raises UnreadableAnswer for a segment nobody knows."""
    unit = UNITS.get(token & 0xFF)
    if unit is None:
        raise UnreadableAnswer(f"unknown segment {token & 0xFF} of instrument token {token}")
    return unit


def decode_last_prices(frame: bytes) -> list[tuple[int, int]]:
    """(token, raw price) of every packet, as fast as Python allows. Raises UnreadableAnswer for a damaged frame.

    Packets longer than today's kinds still give their price: it is first in all of them.
    """
    if len(frame) < _COUNT.size:
        return []
    prices: list[tuple[int, int]] = []
    unpack, append, offset = _LENGTH_TOKEN_PRICE.unpack_from, prices.append, _COUNT.size
    try:
        for _ in range(_COUNT.unpack_from(frame)[0]):
            length, token, raw = unpack(frame, offset)
            if length < LTP_LENGTH:
                raise UnreadableAnswer(f"a packet of {length} bytes")
            append((token, raw))
            offset += 2 + length
    except struct.error:
        raise UnreadableAnswer("the frame ends inside a packet") from None
    _check_end(frame, offset)
    return prices


def decode_prices(frame: bytes) -> list[tuple[int, int, int]]:
    """(token, raw price, last trade's epoch seconds) of every packet; 0 seconds where the packet carries no time.

    A raw price counts `unit_of(token)`. Otherwise as `decode_last_prices`.
    """
    if len(frame) < _COUNT.size:
        return []
    prices: list[tuple[int, int, int]] = []
    unpack, append, offset = _LENGTH_TOKEN_PRICE.unpack_from, prices.append, _COUNT.size
    try:
        for _ in range(_COUNT.unpack_from(frame)[0]):
            length, token, raw = unpack(frame, offset)
            if length < LTP_LENGTH:
                raise UnreadableAnswer(f"a packet of {length} bytes")
            time_at = _TIME_AT.get(length)
            append((token, raw, _SECONDS.unpack_from(frame, offset + time_at)[0] if time_at else 0))
            offset += 2 + length
    except struct.error:
        raise UnreadableAnswer("the frame ends inside a packet") from None
    _check_end(frame, offset)
    return prices


def decode_frame(frame: bytes) -> tuple[Packet, ...]:
    """Every packet with everything it carries. Raises UnreadableAnswer for a damaged frame or an unknown kind of packet."""
    return tuple(decode_packet(frame[offset : offset + length]) for offset, length in _packets(frame))


def decode_packet(packet: bytes) -> Packet:
    match len(packet):
        case 8:
            token, last = _LTP.unpack(packet)
            return Packet(token=token, mode=Mode.LTP, last_price=last * unit_of(token))
        case 44:
            return _quote(packet)
        case 184:
            return _full(packet)
        case 28:
            return _index(_INDEX_QUOTE.unpack(packet), mode=Mode.QUOTE, exchange_time=None)
        case 32:
            *fields, seconds = _INDEX_FULL.unpack(packet)
            return _index(tuple(fields), mode=Mode.FULL, exchange_time=_time(seconds))
    raise UnreadableAnswer(f"a packet of {len(packet)} bytes")


def _packets(frame: bytes) -> Iterator[tuple[int, int]]:
    """Offset and length of each packet. A frame shorter than its count is a heartbeat."""
    if len(frame) < _COUNT.size:
        return
    offset = _COUNT.size
    for _ in range(_COUNT.unpack_from(frame)[0]):
        if offset + 2 > len(frame):
            raise UnreadableAnswer("the frame ends before its last packet")
        (length,) = _COUNT.unpack_from(frame, offset)
        if length < LTP_LENGTH or offset + 2 + length > len(frame):
            raise UnreadableAnswer(f"a packet of {length} bytes in a frame of {len(frame)}")
        yield offset + 2, length
        offset += 2 + length
    _check_end(frame, offset)


def _check_end(frame: bytes, offset: int) -> None:
    if offset != len(frame):
        raise UnreadableAnswer(f"the packets of a frame of {len(frame)} bytes end at {offset}")


def _quote(packet: bytes) -> Packet:
    token, last, quantity, average, volume, buy, sell, opened, high, low, close = _QUOTE.unpack(packet)
    unit = unit_of(token)
    return Packet(
        token=token,
        mode=Mode.QUOTE,
        last_price=last * unit,
        last_quantity=quantity,
        average_price=average * unit,
        volume=volume,
        buy_quantity=buy,
        sell_quantity=sell,
        open=opened * unit,
        high=high * unit,
        low=low * unit,
        close=close * unit,
    )


def _full(packet: bytes) -> Packet:
    token, last, quantity, average, volume, buy, sell, opened, high, low, close, traded, interest, top, bottom, sent = (
        _FULL.unpack_from(packet)
    )
    unit = unit_of(token)
    return Packet(
        token=token,
        mode=Mode.FULL,
        last_price=last * unit,
        last_quantity=quantity,
        average_price=average * unit,
        volume=volume,
        buy_quantity=buy,
        sell_quantity=sell,
        open=opened * unit,
        high=high * unit,
        low=low * unit,
        close=close * unit,
        last_trade_time=_time(traded),
        open_interest=interest,
        open_interest_high=top,
        open_interest_low=bottom,
        exchange_time=_time(sent),
        bids=_depth(packet, _FULL.size, unit=unit),
        asks=_depth(packet, _FULL.size + _DEPTH_LEVELS * _DEPTH_ENTRY.size, unit=unit),
    )


def _depth(packet: bytes, start: int, *, unit: Decimal) -> tuple[DepthEntry, ...]:
    stop = start + _DEPTH_LEVELS * _DEPTH_ENTRY.size
    return tuple(
        DepthEntry(quantity=quantity, price=raw * unit, orders=orders)
        for quantity, raw, orders in _DEPTH_ENTRY.iter_unpack(packet[start:stop])
    )


def _index(fields: tuple[int, ...], *, mode: Mode, exchange_time: datetime | None) -> Packet:
    """Indices put high and low before open and close."""
    token, last, high, low, opened, close, change = fields
    unit = unit_of(token)
    return Packet(
        token=token,
        mode=mode,
        last_price=last * unit,
        open=opened * unit,
        high=high * unit,
        low=low * unit,
        close=close * unit,
        change=change * unit,
        exchange_time=exchange_time,
    )


def _time(seconds: int) -> datetime | None:
    """Zero means never."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
