"""Opening a broker's WebSocket: no redirect is followed and nothing is logged, since tokens travel in addresses and headers."""

import logging
import time
from asyncio import timeout
from collections.abc import Mapping
from typing import cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from trading.ports.broker import BrokerUnavailable

# A connection that dies without a word is noticed by an unanswered ping.
PING_SECONDS = 5.0
PONG_SECONDS = 5.0
CLOSE_SECONDS = 1.0

_quiet_log = logging.getLogger("brokers.sockets")
_quiet_log.setLevel(logging.INFO)


class HandshakeRefused(Exception):
    """The server answered the handshake with an HTTP status. What it means is the broker's own business."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers


class _ConnectWithoutRedirects(connect):
    """A redirect would carry the token elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class AttentiveConnection(ClientConnection):
    """Knows when its last byte came, those of pings and pongs included, which the library keeps to itself: for servers whose only
    sign of life they are."""

    # Monotonic seconds.
    heard_at: float = 0.0

    def data_received(self, data: bytes) -> None:
        self.heard_at = time.monotonic()
        super().data_received(data)


async def open_socket(
    url: str,
    *,
    headers: Mapping[str, str],
    open_seconds: float,
    ping_seconds: float | None = PING_SECONDS,
    kind: type[AttentiveConnection] = AttentiveConnection,
) -> AttentiveConnection:
    """A connected socket, without pings where `ping_seconds` is None. Raises HandshakeRefused for an HTTP answer,
    BrokerUnavailable for every other failure."""
    try:
        opened = await _ConnectWithoutRedirects(
            url,
            create_connection=kind,
            additional_headers=dict(headers),
            proxy=None,
            compression=None,
            open_timeout=open_seconds,
            ping_interval=ping_seconds,
            ping_timeout=PONG_SECONDS,
            close_timeout=CLOSE_SECONDS,
            logger=_quiet_log,
        )
    except InvalidStatus as refused:
        raise HandshakeRefused(refused.response.status_code, refused.response.headers) from None
    except (OSError, EOFError, WebSocketException) as error:
        raise BrokerUnavailable(f"cannot reach the socket: {type(error).__name__}") from None
    return cast(AttentiveConnection, opened)


async def receive(connection: ClientConnection) -> bytes | str:
    """The next message. Raises BrokerUnavailable once the connection is lost, closed politely or not."""
    try:
        return await connection.recv()
    except ConnectionClosed as closed:
        raise BrokerUnavailable(closing_words(closed)) from None


async def receive_unless_silent(connection: AttentiveConnection, *, silence_seconds: float, what: str) -> bytes | str:
    """The next message; hours may pass without one. Raises BrokerUnavailable when the connection is lost, and when not even a
    pong was heard for so long. Being cancelled loses no message."""
    while True:
        left = silence_seconds - (time.monotonic() - connection.heard_at)
        if left <= 0:
            raise BrokerUnavailable(f"{what} fell silent for {silence_seconds:g} s")
        try:
            async with timeout(left):
                return await receive(connection)
        except TimeoutError:
            continue


async def send(connection: ClientConnection, message: bytes | str) -> None:
    """Raises BrokerUnavailable when the connection is lost."""
    try:
        await connection.send(message)
    except ConnectionClosed as closed:
        raise BrokerUnavailable(closing_words(closed)) from None


def closing_words(closed: ConnectionClosed) -> str:
    code = closed.rcvd.code if closed.rcvd else None
    return f"the connection ended, close code {code}" if code else "the connection broke"
