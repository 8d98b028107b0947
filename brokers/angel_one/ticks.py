"""SmartAPI's binary market data ("WebSocket 2.0"): bytes in, packets out. Pure, little-endian, prices exact.

One instrument to a message. The first byte is the mode and decides the length: 51 bytes (last price), 123 (quote), 379 (snap
quote). Prices are whole paise, in currencies ten-millionths of a rupee.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum

from brokers.angel_one.words import EXCHANGE_TYPES
from trading.ports.broker import UnreadableAnswer

# Mode, exchange type, token, sequence number, exchange time (ms), last price.
_HEAD = struct.Struct("<BB25sqqq")
# Last quantity, average price, volume, buy and sell quantity, open, high, low, close.
_QUOTE = struct.Struct("<qqqddqqqq")
# Last trade's time (s), open interest, and its change, which is documented as meaningless.
_SNAP = struct.Struct("<qqq")
_LEVEL = struct.Struct("<hqqh")
# Upper and lower circuit limit, 52 weeks' high and low.
_LIMITS = struct.Struct("<qqqq")
_LEVELS_AT, _LEVELS, _LIMITS_AT = 147, 10, 347
_LAST_TRADE_AT = 123
_SECONDS = struct.Struct("<q")
_BUY = 1
_LARGEST_SECONDS = 10**11

LTP_LENGTH, QUOTE_LENGTH, SNAP_LENGTH = 51, 123, 379
_PAISA, _SEVEN_PLACES = Decimal("0.01"), Decimal("0.0000001")
_CURRENCY = EXCHANGE_TYPES["CDS"]
_KNOWN_TYPES = frozenset(EXCHANGE_TYPES.values())


class Mode(IntEnum):
    LTP = 1
    QUOTE = 2
    SNAP_QUOTE = 3


_LENGTHS: dict[int, int] = {Mode.LTP: LTP_LENGTH, Mode.QUOTE: QUOTE_LENGTH, Mode.SNAP_QUOTE: SNAP_LENGTH}


@dataclass(frozen=True, slots=True)
class DepthEntry:
    quantity: int
    price: Decimal
    orders: int


@dataclass(frozen=True, slots=True)
class Packet:
    """One instrument's update. What the packet's mode does not carry is None; times are aware UTC."""

    exchange_type: int
    token: str
    mode: Mode
    sequence: int
    exchange_time: datetime | None
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
    last_trade_time: datetime | None = None
    open_interest: int | None = None
    bids: tuple[DepthEntry, ...] = ()
    asks: tuple[DepthEntry, ...] = ()
    upper_circuit: Decimal | None = None
    lower_circuit: Decimal | None = None
    year_high: Decimal | None = None
    year_low: Decimal | None = None


def unit_of(exchange_type: int) -> Decimal:
    """What one raw price unit is worth, rupees. Raises UnreadableAnswer for a segment nobody knows."""
    if exchange_type not in _KNOWN_TYPES:
        raise UnreadableAnswer(f"unknown exchange type {exchange_type}")
    return _SEVEN_PLACES if exchange_type == _CURRENCY else _PAISA


def decode_price(message: bytes) -> tuple[int, str, int, int]:
    """(exchange type, token, raw price, milliseconds of the last trade) as fast as Python allows.

    The short kinds say when the exchange sent them instead; 0 means never. Longer packets than today's still give their price.
    Raises UnreadableAnswer for a damaged message.
    """
    length = len(message)
    if length < LTP_LENGTH or length < _LENGTHS.get(message[0], LTP_LENGTH):
        raise UnreadableAnswer(f"a packet of {length} bytes")
    mode, exchange_type, token, _, exchange_ms, raw = _HEAD.unpack_from(message)
    if mode not in _LENGTHS:
        raise UnreadableAnswer(f"a packet of the unknown mode {mode}")
    if mode == Mode.SNAP_QUOTE:
        exchange_ms = _milliseconds(_SECONDS.unpack_from(message, _LAST_TRADE_AT)[0])
    return exchange_type, _token(token), raw, exchange_ms


def decode_packet(message: bytes) -> Packet:
    """Everything a message carries. Raises UnreadableAnswer for a damaged one or an unknown mode or segment."""
    exchange_type, token, _, _ = decode_price(message)
    mode, _, _, sequence, exchange_ms, raw = _HEAD.unpack_from(message)
    unit = unit_of(exchange_type)
    fields: dict[str, object] = {}
    if mode != Mode.LTP:
        fields |= _quote(message, unit)
    if mode == Mode.SNAP_QUOTE:
        fields |= _snap(message, unit)
    return Packet(
        exchange_type=exchange_type,
        token=token,
        mode=Mode(mode),
        sequence=sequence,
        exchange_time=instant(exchange_ms),
        last_price=raw * unit,
        **fields,  # type: ignore[arg-type]
    )


def instant(milliseconds: int) -> datetime | None:
    """Zero means never. Raises UnreadableAnswer for what is no time."""
    if not milliseconds:
        return None
    try:
        return datetime.fromtimestamp(milliseconds // 1_000, UTC).replace(microsecond=milliseconds % 1_000 * 1_000)
    except (ValueError, OverflowError, OSError):
        raise UnreadableAnswer(f"{milliseconds} ms is not a time") from None


def _quote(message: bytes, unit: Decimal) -> dict[str, object]:
    quantity, average, volume, buy, sell, opened, high, low, close = _QUOTE.unpack_from(message, _HEAD.size)
    return {
        "last_quantity": quantity,
        "average_price": average * unit,
        "volume": volume,
        "buy_quantity": _quantity(buy),
        "sell_quantity": _quantity(sell),
        "open": opened * unit,
        "high": high * unit,
        "low": low * unit,
        "close": close * unit,
    }


def _snap(message: bytes, unit: Decimal) -> dict[str, object]:
    traded, interest, _ = _SNAP.unpack_from(message, _LAST_TRADE_AT)
    upper, lower, year_high, year_low = _LIMITS.unpack_from(message, _LIMITS_AT)
    levels = list(_LEVEL.iter_unpack(message[_LEVELS_AT : _LEVELS_AT + _LEVELS * _LEVEL.size]))
    return {
        "last_trade_time": instant(_milliseconds(traded)),
        "open_interest": interest,
        "bids": _side(levels, unit, buying=True),
        "asks": _side(levels, unit, buying=False),
        "upper_circuit": upper * unit,
        "lower_circuit": lower * unit,
        "year_high": year_high * unit,
        "year_low": year_low * unit,
    }


def _quantity(value: float) -> int:
    """The two totals alone are floating point on the wire."""
    try:
        return int(value)
    except (ValueError, OverflowError):
        raise UnreadableAnswer("a total quantity is not a number") from None


def _milliseconds(time: int) -> int:
    """The last trade's time is documented in seconds; the other times of the packet are in milliseconds."""
    return time if time > _LARGEST_SECONDS else time * 1_000


def _side(levels: list[tuple[int, int, int, int]], unit: Decimal, *, buying: bool) -> tuple[DepthEntry, ...]:
    """By each row's own flag, not by its place."""
    return tuple(
        DepthEntry(quantity=quantity, price=price * unit, orders=orders)
        for flag, quantity, price, orders in levels
        if (flag == _BUY) is buying
    )


def _token(padded: bytes) -> str:
    plain = padded.partition(b"\0")[0]
    if not plain.isascii() or not plain:
        raise UnreadableAnswer("a packet without a token")
    return plain.decode("ascii")
