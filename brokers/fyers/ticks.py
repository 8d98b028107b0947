"""Fyers' binary market data: bytes in, items out. Pure, big-endian, prices exact.

A data frame holds items. A snapshot comes once for each topic: it names it, scales it and gives every field. Updates and lite
updates carry only the topic's number and new values, so they mean nothing without the snapshot before them: `Feed` remembers it.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from trading.ports.broker import UnreadableAnswer

SNAPSHOT, UPDATE, LITE = 83, 85, 76
# A field without a value in a snapshot, and one that has not changed in an update.
NO_VALUE = -(2**31)

_HEAD = struct.Struct(">HBIH")
_TOPIC = struct.Struct(">HB")
_SCALE = struct.Struct(">2xHB")
_VALUE = struct.Struct(">i")
_LITE_ITEM = struct.Struct(">Hi")
_LARGEST_PRECISION = 9

# The fields of a topic, in the order of the wire.
SHARE_FIELDS = (
    "last_price", "volume", "last_trade_time", "exchange_time", "bid_quantity", "ask_quantity", "bid", "ask", "last_quantity",
    "buy_quantity", "sell_quantity", "average_price", "open_interest", "low", "high", "year_high", "year_low", "lower_circuit",
    "upper_circuit", "open", "close",
)  # fmt: skip
INDEX_FIELDS = ("last_price", "close", "exchange_time", "high", "low", "open", "year_high", "year_low")
DEPTH_FIELDS = tuple(
    f"{name}_{level}"
    for name in ("bid", "ask", "bid_quantity", "ask_quantity", "bid_orders", "ask_orders")
    for level in range(1, 6)
)
FIELDS = {"sf": SHARE_FIELDS, "if": INDEX_FIELDS, "dp": DEPTH_FIELDS}
_LAST_PRICE, _TIME = 0, 2
_PRICES = frozenset({
    "last_price", "bid", "ask", "average_price", "low", "high", "year_high", "year_low", "lower_circuit", "upper_circuit", "open",
    "close", *(f"{side}_{level}" for side in ("bid", "ask") for level in range(1, 6)),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything of one topic. `unit` is what one raw price unit is worth, rupees."""

    topic_id: int
    topic: str
    values: tuple[int, ...]
    unit: Decimal
    exchange: str
    exchange_token: str
    symbol: str

    @property
    def kind(self) -> str:
        """`sf`, `if` or `dp`."""
        return self.topic.partition("|")[0]


class Update(NamedTuple):
    """New values by position, NO_VALUE where nothing changed. A lite update has the last price alone."""

    topic_id: int
    values: tuple[int, ...]


Item: TypeAlias = Snapshot | Update


class DataFrame(NamedTuple):
    message_number: int
    items: tuple[Item, ...]


def decode_data(frame: bytes) -> DataFrame:
    """A data frame. Raises UnreadableAnswer for a damaged one: behind an item nobody understands nothing can be found."""
    try:
        _, _, message_number, count = _HEAD.unpack_from(frame)
        items: list[Item] = []
        offset = _HEAD.size
        for _ in range(count):
            item, offset = _item(frame, offset)
            items.append(item)
    except (struct.error, IndexError):
        raise UnreadableAnswer("the frame ends inside an item") from None
    return DataFrame(message_number, tuple(items))


def _item(frame: bytes, offset: int) -> tuple[Item, int]:
    match frame[offset]:
        case 83:
            return _snapshot(frame, offset + 1)
        case 85:
            topic_id, count = _TOPIC.unpack_from(frame, offset + 1)
            values, offset = _values(frame, offset + 1 + _TOPIC.size, count)
            return Update(topic_id, values), offset
        case 76:
            topic_id, price = _LITE_ITEM.unpack_from(frame, offset + 1)
            return Update(topic_id, (price,)), offset + 1 + _LITE_ITEM.size
    raise UnreadableAnswer(f"an item of unknown kind {frame[offset]}")


def _snapshot(frame: bytes, offset: int) -> tuple[Snapshot, int]:
    topic_id, length = _TOPIC.unpack_from(frame, offset)
    topic, offset = _text(frame, offset + _TOPIC.size, length)
    values, offset = _values(frame, offset + 1, frame[offset])
    multiplier, precision = _SCALE.unpack_from(frame, offset)
    offset += _SCALE.size
    exchange, offset = _text(frame, offset + 1, frame[offset])
    exchange_token, offset = _text(frame, offset + 1, frame[offset])
    symbol, offset = _text(frame, offset + 1, frame[offset])
    return Snapshot(topic_id, topic, values, _unit(multiplier, precision), exchange, exchange_token, symbol), offset


def _values(frame: bytes, offset: int, count: int) -> tuple[tuple[int, ...], int]:
    return struct.unpack_from(f">{count}i", frame, offset), offset + count * _VALUE.size


def _text(frame: bytes, offset: int, length: int) -> tuple[str, int]:
    if offset + length > len(frame):
        raise UnreadableAnswer("the frame ends inside a name")
    return bytes(frame[offset : offset + length]).decode(errors="replace"), offset + length


def _unit(multiplier: int, precision: int) -> Decimal:
    if not multiplier or precision > _LARGEST_PRECISION:
        raise UnreadableAnswer(f"prices with multiplier {multiplier} and precision {precision}")
    return Decimal(1).scaleb(-precision) / multiplier


@dataclass(slots=True)
class _Topic:
    name: str
    kind: str
    unit: Decimal
    values: list[int]


class Price(NamedTuple):
    """The last price of a topic after an item, rupees. `event_time` is that of its last trade, or of an index's calculation."""

    topic: str
    last_price: Decimal
    event_time: datetime | None


@dataclass(slots=True)
class Feed:
    """What the snapshots of one connection said, brought up to date by what came after. Start anew with each connection."""

    _topics: dict[int, _Topic] = field(default_factory=dict)

    def prices(self, items: Sequence[Item]) -> list[Price]:
        """The price after each item that can carry one, in order: none is left out, since each may cross a stop."""
        found: list[Price] = []
        for item in items:
            topic = self._learn(item)
            if topic is not None and topic.kind != "dp" and topic.values and topic.values[_LAST_PRICE] != NO_VALUE:
                found.append(Price(topic.name, topic.values[_LAST_PRICE] * topic.unit, _time_of(topic.values)))
        return found

    def fields(self, topic: str) -> dict[str, int | Decimal]:
        """Everything known of a topic now, by name."""
        for known in self._topics.values():
            if known.name == topic:
                named = zip(FIELDS.get(known.kind, ()), known.values, strict=False)
                return {name: raw * known.unit if name in _PRICES else raw for name, raw in named if raw != NO_VALUE}
        return {}

    def _learn(self, item: Item) -> _Topic | None:
        if isinstance(item, Snapshot):
            topic = _Topic(item.topic, item.kind, item.unit, list(item.values))
            self._topics[item.topic_id] = topic
            return topic
        known = self._topics.get(item.topic_id)
        if known is None:
            # Of a topic that was left meanwhile, or whose snapshot is still to come: nobody knows its scale.
            return None
        values = known.values
        if len(item.values) > len(values):
            values.extend([NO_VALUE] * (len(item.values) - len(values)))
        for position, value in enumerate(item.values):
            if value != NO_VALUE:
                values[position] = value
        return known


def _time_of(values: list[int]) -> datetime | None:
    seconds = values[_TIME] if len(values) > _TIME else 0
    return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
