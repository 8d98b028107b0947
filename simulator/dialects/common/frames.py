"""WebSocket frames from the server, encoded once and written to many sockets (RFC 6455, section 5.2; never masked)."""

import struct

_FINAL_TEXT = 0x81
_FINAL_BINARY = 0x82
_FINAL_CLOSE = 0x88


def _frame(first_byte: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((first_byte, length)) + payload
    if length < 65_536:
        return struct.pack(">BBH", first_byte, 126, length) + payload
    return struct.pack(">BBQ", first_byte, 127, length) + payload


def text_frame(payload: bytes) -> bytes:
    """A whole text message in one frame."""
    return _frame(_FINAL_TEXT, payload)


def binary_frame(payload: bytes) -> bytes:
    """A whole binary message in one frame."""
    return _frame(_FINAL_BINARY, payload)


def close_frame(code: int) -> bytes:
    """A close frame with a status code."""
    return _frame(_FINAL_CLOSE, struct.pack(">H", code))
