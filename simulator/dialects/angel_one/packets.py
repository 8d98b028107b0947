"""Binary market data, little-endian, one instrument to a message (SmartAPI documentation, "WebSocket Streaming 2.0")."""

import struct
from collections.abc import Sequence

from simulator.clock import SECOND_NS
from simulator.dialects.angel_one.tokens import wire_price
from simulator.exchange.instruments import Kind
from simulator.exchange.market import Level, Market
from simulator.exchange.orders import Side

LTP, QUOTE, SNAP_QUOTE, DEPTH = 1, 2, 3, 4
_HEAD = struct.Struct("<BB25sqqq")
_QUOTE = struct.Struct("<qqqddqqqq")
_SNAP = struct.Struct("<qqd")
_LEVEL = struct.Struct("<hqqh")
_LIMITS = struct.Struct("<qqqq")
_DEPTH_HEAD = struct.Struct("<BB25sqq")
_DEPTH_LEVEL = struct.Struct("<iih")
_LEVELS, _DEPTH_LEVELS = 5, 20
_MILLISECOND_NS = 1_000_000
_LARGEST_SHORT, _LARGEST_INT = 2**15 - 1, 2**31 - 1


def packet(market: Market, key: tuple[int, str], mode: int, sequence: int) -> bytes:
    """51, 123 or 379 bytes; 443 in the mode with twenty levels."""
    exchange_type, token = key
    exchange_ms = market.priced_ns // _MILLISECOND_NS
    if mode == DEPTH:
        return _depth_packet(market, exchange_type, token, exchange_ms)
    head = _head(market, key, mode, sequence, market.last_price)
    if mode == LTP:
        return head
    buys, sells = market.depth_rows(Side.BUY), market.depth_rows(Side.SELL)
    quote = _QUOTE.pack(
        market.last_quantity,
        wire_price(market.traded_value // market.volume if market.volume else 0, exchange_type),
        market.volume,
        float(sum(level.quantity for level in buys)),
        float(sum(level.quantity for level in sells)),
        *(wire_price(price, exchange_type) for price in (market.open, market.high, market.low, market.close)),
    )
    if mode == QUOTE:
        return head + quote
    # A new price is a trade of somebody's.
    snap = _SNAP.pack(max(market.last_trade_ns, market.priced_ns) // SECOND_NS, 0, 0.0)
    return head + quote + snap + _five(buys, 1, exchange_type) + _five(sells, 0, exchange_type) + _limits(market, exchange_type)


def raw_ltp(market: Market, key: tuple[int, str], sequence: int, price: int) -> bytes:
    """A packet of the smallest mode with any price, however odd."""
    return _head(market, key, LTP, sequence, price)


def _head(market: Market, key: tuple[int, str], mode: int, sequence: int, price: int) -> bytes:
    exchange_type, token = key
    exchange_ms = market.priced_ns // _MILLISECOND_NS
    return _HEAD.pack(mode, exchange_type, token.encode(), sequence, exchange_ms, wire_price(price, exchange_type))


def _five(levels: Sequence[Level], flag: int, exchange_type: int) -> bytes:
    rows = [
        _LEVEL.pack(flag, level.quantity, wire_price(level.price, exchange_type), min(level.orders, _LARGEST_SHORT))
        for level in levels[:_LEVELS]
    ]
    return b"".join(rows) + _LEVEL.pack(flag, 0, 0, 0) * (_LEVELS - len(rows))


def _limits(market: Market, exchange_type: int) -> bytes:
    has_limits = market.instrument.kind is not Kind.INDEX
    circuit = (market.upper_circuit, market.lower_circuit) if has_limits else (0, 0)
    return _LIMITS.pack(*(wire_price(price, exchange_type) for price in (*circuit, market.high, market.low)))


def _depth_packet(market: Market, exchange_type: int, token: str, exchange_ms: int) -> bytes:
    sides = b"".join(_twenty(market.depth_rows(side), exchange_type) for side in (Side.BUY, Side.SELL))
    return _DEPTH_HEAD.pack(DEPTH, exchange_type, token.encode(), exchange_ms, exchange_ms) + sides


def _twenty(levels: Sequence[Level], exchange_type: int) -> bytes:
    rows = [
        _DEPTH_LEVEL.pack(
            min(level.quantity, _LARGEST_INT), wire_price(level.price, exchange_type), min(level.orders, _LARGEST_SHORT)
        )
        for level in levels[:_DEPTH_LEVELS]
    ]
    return b"".join(rows) + bytes(_DEPTH_LEVEL.size * (_DEPTH_LEVELS - len(rows)))
