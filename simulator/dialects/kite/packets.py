"""Binary market data packets, big-endian (Kite Connect v3 documentation, "WebSocket streaming", "Quote packet structure")."""

import struct
from collections.abc import Sequence

from simulator.clock import SECOND_NS
from simulator.dialects.kite.tokens import INDEX_SEGMENT, divisor, wire_price
from simulator.exchange.market import Level, Market
from simulator.exchange.orders import Side

_LTP = struct.Struct(">Ii")
_QUOTE = struct.Struct(">Iiiiiiiiiii")
_FULL_TAIL = struct.Struct(">iiiii")
_DEPTH = struct.Struct(">iiHxx")
_INDEX_QUOTE = struct.Struct(">Iiiiiii")
_TIMESTAMP = struct.Struct(">i")
_COUNT = struct.Struct(">H")
_LARGEST_INT = 2**31 - 1
_LEVELS = 5

MODES = ("ltp", "quote", "full")


def packet(market: Market, token: int, mode: str) -> bytes:
    """One instrument's packet in one of the three modes: 8, 44, 184 bytes; indices 8, 28, 32."""
    scale = divisor(token)
    if mode == "ltp":
        return raw_ltp(token, market.last_price)
    if token & 0xFF == INDEX_SEGMENT:
        return _index_packet(market, token, mode, scale)
    buys, sells = market.depth_rows(Side.BUY), market.depth_rows(Side.SELL)
    average = market.traded_value // market.volume if market.volume else 0
    quote = _QUOTE.pack(
        token,
        wire_price(market.last_price, scale),
        _fit(market.last_quantity),
        wire_price(average, scale),
        _fit(market.volume),
        _fit(sum(level.quantity for level in buys)),
        _fit(sum(level.quantity for level in sells)),
        wire_price(market.open, scale),
        wire_price(market.high, scale),
        wire_price(market.low, scale),
        wire_price(market.close, scale),
    )
    if mode == "quote":
        return quote
    tail = _FULL_TAIL.pack(market.last_trade_ns // SECOND_NS, 0, 0, 0, market.priced_ns // SECOND_NS)
    return quote + tail + _depth(buys, scale) + _depth(sells, scale)


def raw_ltp(token: int, price: int) -> bytes:
    """An ltp packet with any price, however odd."""
    return _LTP.pack(token, wire_price(price, divisor(token)))


def _index_packet(market: Market, token: int, mode: str, scale: int) -> bytes:
    quote = _INDEX_QUOTE.pack(
        token,
        wire_price(market.last_price, scale),
        wire_price(market.high, scale),
        wire_price(market.low, scale),
        wire_price(market.open, scale),
        wire_price(market.close, scale),
        wire_price(market.last_price - market.close, scale),
    )
    return quote if mode == "quote" else quote + _TIMESTAMP.pack(market.priced_ns // SECOND_NS)


def _depth(levels: Sequence[Level], scale: int) -> bytes:
    rows = [_DEPTH.pack(_fit(row.quantity), wire_price(row.price, scale), min(row.orders, 0xFFFF)) for row in levels]
    return b"".join(rows) + bytes(_DEPTH.size * (_LEVELS - len(rows)))


def _fit(quantity: int) -> int:
    return min(quantity, _LARGEST_INT)


def message(packets: Sequence[bytes]) -> bytes:
    """A binary message: the number of packets, then each with its length before it."""
    parts = [_COUNT.pack(len(packets))]
    for one in packets:
        parts.append(_COUNT.pack(len(one)))
        parts.append(one)
    return b"".join(parts)
