"""What we send on the market data socket, and the answers to it that are no prices. Pure, big-endian.

A frame is its length, its type, a count of fields, and fields of number, size and bytes. Undocumented by the broker: read from
its Python client 3.2.0. The length in front cannot be trusted in either direction, so the fields are read to the frame's end.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from trading.ports.broker import UnreadableAnswer

_HEAD = struct.Struct(">HBB")
_FIELD = struct.Struct(">BH")
_LENGTH_BYTES = 2

AUTH, ACKNOWLEDGE, SUBSCRIBE, UNSUBSCRIBE, DATA, MODE, MESSAGE = 1, 3, 4, 5, 6, 12, 51
FULL_MODE, LITE_MODE = 70, 76
PING = b"\x00\x01\x0b"
CHANNEL = 11
# How many topics the broker's own client puts into one frame.
TOPICS_PER_FRAME = 1_500
_SOURCE = b"algo-trading"
_OK = b"K"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request of that type. `acknowledge_every` data frames one acknowledgement is wanted; 0: none."""

    to: int
    accepted: bool
    acknowledge_every: int = 0


@dataclass(frozen=True, slots=True)
class ServerMessage:
    """Words of the server, about a request of type `about`; code 51001: more symbols than the account's plan has."""

    code: int
    text: str
    about: int


def auth_frame(hsm_key: str) -> bytes:
    return _frame(AUTH, (1, hsm_key.encode()), (2, b"P"), (3, b"\x01"), (4, _SOURCE))


def mode_frame(mode: int) -> bytes:
    """`mode` for our channel: everything of a quote, or the last price alone."""
    return _frame(MODE, (1, (1 << CHANNEL).to_bytes(8, "big")), (2, bytes([mode])))


def subscribe_frames(topics: Sequence[str]) -> list[bytes]:
    return [_topics_frame(SUBSCRIBE, some) for some in _chunks(topics)]


def unsubscribe_frames(topics: Sequence[str]) -> list[bytes]:
    return [_topics_frame(UNSUBSCRIBE, some) for some in _chunks(topics)]


def acknowledge_frame(message_number: int) -> bytes:
    return _frame(ACKNOWLEDGE, (1, message_number.to_bytes(4, "big")))


def frame_type(frame: bytes) -> int:
    if len(frame) < _LENGTH_BYTES + 1:
        raise UnreadableAnswer(f"a frame of {len(frame)} bytes")
    return frame[_LENGTH_BYTES]


def read_reply(frame: bytes) -> Reply:
    """The answer to one of our requests."""
    fields = _fields(frame)
    interval = fields.get(2, b"") if frame_type(frame) == AUTH else b""
    return Reply(frame_type(frame), fields.get(1) == _OK, int.from_bytes(interval, "big") if len(interval) == 4 else 0)


def read_message(frame: bytes) -> ServerMessage:
    fields = _fields(frame)
    code, about = fields.get(1, b""), fields.get(3, b"\x00")
    return ServerMessage(int.from_bytes(code, "big", signed=True), fields.get(2, b"").decode(errors="replace"), about[0])


def _fields(frame: bytes) -> dict[int, bytes]:
    if len(frame) < _HEAD.size:
        raise UnreadableAnswer(f"a frame of {len(frame)} bytes")
    fields: dict[int, bytes] = {}
    offset = _HEAD.size
    for _ in range(frame[3]):
        if offset + _FIELD.size > len(frame):
            raise UnreadableAnswer("the frame ends before its last field")
        number, size = _FIELD.unpack_from(frame, offset)
        offset += _FIELD.size
        if offset + size > len(frame):
            raise UnreadableAnswer("the frame ends inside a field")
        fields[number] = bytes(frame[offset : offset + size])
        offset += size
    return fields


def _frame(kind: int, *fields: tuple[int, bytes]) -> bytes:
    body = b"".join(_FIELD.pack(number, len(value)) + value for number, value in fields)
    return _HEAD.pack(_HEAD.size - _LENGTH_BYTES + len(body), kind, len(fields)) + body


def _topics_frame(kind: int, topics: Sequence[str]) -> bytes:
    names = b"".join(bytes([len(name)]) + name for name in (topic.encode() for topic in topics))
    return _frame(kind, (1, len(topics).to_bytes(2, "big") + names), (2, bytes([CHANNEL])))


def _chunks(topics: Sequence[str]) -> list[Sequence[str]]:
    return [topics[start : start + TOPICS_PER_FRAME] for start in range(0, len(topics), TOPICS_PER_FRAME)]
