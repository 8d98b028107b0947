"""One client's websocket, written to without a task switch."""

import time
from asyncio import Transport

from simulator.dialects.common.frames import close_frame

_LARGEST_BACKLOG_BYTES = 8 * 1024 * 1024
GOING_AWAY = 1001


class Socket:
    """Frames are written straight to the transport: one system call each. `api_key` is the account's key at the exchange."""

    __slots__ = ("_transport", "api_key", "sent_at")

    def __init__(self, transport: Transport, api_key: str) -> None:
        self._transport = transport
        self.api_key = api_key
        self.sent_at = time.monotonic()

    def write(self, frame: bytes) -> None:
        """Send an encoded frame; a client that does not read is cut off."""
        if self._transport.is_closing():
            return
        self._transport.write(frame)
        if self._transport.get_write_buffer_size() > _LARGEST_BACKLOG_BYTES:
            self._transport.abort()

    def close(self, code: int) -> None:
        """Say goodbye and close."""
        if not self._transport.is_closing():
            self._transport.write(close_frame(code))
            self._transport.close()

    def abort(self) -> None:
        """Close without a word."""
        self._transport.abort()
