"""Binary market data, big-endian, as the broker's Python client 3.2.0 reads and writes it; undocumented by the broker itself.

A frame is a length, a type, and fields; a data frame is a length, a type, a message number, a count, and items.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from simulator.clock import SECOND_NS
from simulator.dialects.fyers import symbols
from simulator.exchange.market import Level, Market
from simulator.exchange.orders import Side
from simulator.money import PRICE_SCALE

AUTH, ACKNOWLEDGE, SUBSCRIBE, UNSUBSCRIBE, DATA, PAUSE, RESUME, PING, MODE, MESSAGE = 1, 3, 4, 5, 6, 7, 8, 11, 12, 51
FULL, LITE = 70, 76
# The topics of depth carry no last price.
DEPTH = "dp"
NO_VALUE = -(2**31)
_SNAPSHOT, _UPDATE, _LITE = 83, 85, 76
_PRECISION, _MULTIPLIER = 2, 1
_RAW_UNITS = 10**_PRECISION * _MULTIPLIER
_LARGEST_INT = 2**31 - 1
_LEVELS = 5


class BadFrame(ValueError):
    """What the client sent cannot be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """A frame of a client: its type, and its fields by number."""

    kind: int
    fields: dict[int, bytes]

    def topics(self) -> list[str]:
        """The topics of a subscription. Raises BadFrame."""
        raw = self.fields.get(1, b"")
        if len(raw) < 2:
            raise BadFrame("a subscription without topics")
        names, offset = [], 2
        for _ in range(int.from_bytes(raw[:2], "big")):
            if offset >= len(raw) or offset + 1 + raw[offset] > len(raw):
                raise BadFrame("a subscription with fewer topics than it says")
            names.append(raw[offset + 1 : offset + 1 + raw[offset]].decode("ascii", "replace"))
            offset += 1 + raw[offset]
        return names


def read_request(frame: bytes) -> Request:
    """A client's frame. Its length is not looked at: the broker's own client writes wrong ones. Raises BadFrame."""
    if len(frame) < 3:
        raise BadFrame("a frame without a type")
    if len(frame) == 3:
        return Request(frame[2], {})
    fields: dict[int, bytes] = {}
    offset = 4
    for _ in range(frame[3]):
        if offset + 3 > len(frame):
            raise BadFrame("a frame with fewer fields than it says")
        size = int.from_bytes(frame[offset + 1 : offset + 3], "big")
        if offset + 3 + size > len(frame):
            raise BadFrame("a frame that ends inside a field")
        fields[frame[offset]] = frame[offset + 3 : offset + 3 + size]
        offset += 3 + size
    return Request(frame[2], fields)


def reply(kind: int, *, accepted: bool = True, extra: Sequence[tuple[int, bytes]] = ()) -> bytes:
    """The answer to a request: `K` or an error."""
    return _fields(kind, [(1, b"K" if accepted else b"E"), *extra])


def auth_reply(*, accepted: bool, acknowledge_every: int) -> bytes:
    """The answer to the key, with the number of data frames after which an acknowledgement is wanted."""
    return reply(AUTH, accepted=accepted, extra=[(2, acknowledge_every.to_bytes(4, "big"))])


def words(code: int, text: str, *, about: int) -> bytes:
    """A message of the server about a request."""
    return _fields(MESSAGE, [(1, code.to_bytes(4, "big", signed=True)), (2, text.encode()), (3, bytes([about]))])


def _fields(kind: int, fields: Sequence[tuple[int, bytes]]) -> bytes:
    body = bytes([kind, len(fields)]) + b"".join(struct.pack(">BH", number, len(value)) + value for number, value in fields)
    return struct.pack(">H", len(body)) + body


def data_frame(items: Sequence[bytes], *, number: int) -> bytes:
    """A data frame."""
    body = struct.pack(">BIH", DATA, number, len(items)) + b"".join(items)
    return struct.pack(">H", len(body) & 0xFFFF) + body


def values_of(market: Market, kind: str) -> tuple[int, ...]:
    """The fields of a topic, raw, in the order of the wire: 21 of a share, 6 of an index, 30 of a depth."""
    if kind == "if":
        prices = (market.last_price, market.close, 0, market.high, market.low, market.open)
        return tuple(market.priced_ns // SECOND_NS if place == 2 else raw_price(price) for place, price in enumerate(prices))
    buys, sells = market.depth_rows(Side.BUY), market.depth_rows(Side.SELL)
    if kind == DEPTH:
        return tuple(_depth(buys, sells))
    best_buy, best_sell = (rows[0] if rows else Level(0, 0, 0) for rows in (buys, sells))
    return (
        raw_price(market.last_price),
        _fit(market.volume),
        market.last_trade_ns // SECOND_NS,
        market.priced_ns // SECOND_NS,
        _fit(best_buy.quantity),
        _fit(best_sell.quantity),
        raw_price(best_buy.price),
        raw_price(best_sell.price),
        _fit(market.last_quantity),
        _fit(sum(level.quantity for level in buys)),
        _fit(sum(level.quantity for level in sells)),
        raw_price(market.traded_value // market.volume if market.volume else 0),
        0,
        raw_price(market.low),
        raw_price(market.high),
        raw_price(market.high),
        raw_price(market.low),
        raw_price(market.lower_circuit),
        raw_price(market.upper_circuit),
        raw_price(market.open),
        raw_price(market.close),
    )


def _depth(buys: Sequence[Level], sells: Sequence[Level]) -> list[int]:
    sides = [list(rows) + [Level(0, 0, 0)] * (_LEVELS - len(rows)) for rows in (buys, sells)]
    prices = [raw_price(level.price) for rows in sides for level in rows]
    quantities = [_fit(level.quantity) for rows in sides for level in rows]
    orders = [level.orders for rows in sides for level in rows]
    return prices + quantities + orders


def snapshot(market: Market, topic: str, topic_id: int, values: Sequence[int]) -> bytes:
    """The first item of a topic: its name, every field, the scale of its prices, and whose it is."""
    instrument = market.instrument
    head = struct.pack(">BH", _SNAPSHOT, topic_id) + _text(topic) + bytes([len(values)])
    scale = struct.pack(">2xHB", _MULTIPLIER, _PRECISION)
    names = _text(symbols.ticker(instrument).partition(":")[0]) + _text(symbols.exchange_token(instrument))
    return head + struct.pack(f">{len(values)}i", *values) + scale + names + _text(symbols.ticker(instrument).partition(":")[2])


def update(topic_id: int, before: Sequence[int], values: Sequence[int]) -> bytes:
    """What has changed since; the mark for no value where nothing has."""
    changed = [NO_VALUE if old == new else new for old, new in zip(before, values, strict=True)]
    return struct.pack(">BHB", _UPDATE, topic_id, len(changed)) + struct.pack(f">{len(changed)}i", *changed)


def lite(topic_id: int, raw: int) -> bytes:
    """The last price alone."""
    return struct.pack(">BHi", _LITE, topic_id, raw)


def raw_price(price: int) -> int:
    """Price units as the integer on the wire."""
    units: int = _RAW_UNITS
    return price * units // PRICE_SCALE


def _text(value: str) -> bytes:
    encoded = value.encode()
    return bytes([len(encoded)]) + encoded


def _fit(quantity: int) -> int:
    return min(quantity, _LARGEST_INT)
