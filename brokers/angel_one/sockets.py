"""SmartAPI's two sockets: the market feed and the order updates. Both live on a text `ping` from us, answered with `pong`.

Tokens travel in headers: no redirect is followed and the socket library's debug log sees none of it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from brokers.angel_one.session import socket_headers
from trading.accounts import Credentials
from trading.ports.broker import BrokerUnavailable

# Asked for every 30 s at least. Its answer is all that is heard of a quiet connection, so it is asked for before silence alarms.
HEARTBEAT_SECONDS = 2.0
PING, PONG = "ping", "pong"
CLOSE_SECONDS = 1.0
_REFUSED = (401, 403)

_quiet_log = logging.getLogger("brokers.angel_one.socket")
_quiet_log.setLevel(logging.INFO)


class SocketForbidden(Exception):
    """HTTP 401 or 403: the token is dead, or this app may not have it. Only a REST call can tell which."""


class _ConnectWithoutRedirects(connect):
    """A redirect would carry the tokens elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


async def open_socket(url: str, *, credentials: Credentials, open_seconds: float) -> ClientConnection:
    """A connected socket. Raises SocketForbidden for HTTP 401 and 403, BrokerUnavailable for every other failure."""
    try:
        return await _ConnectWithoutRedirects(
            url,
            additional_headers=socket_headers(credentials),
            proxy=None,
            compression=None,
            open_timeout=open_seconds,
            # Our own heartbeat notices a dead connection; the server is documented to answer that one.
            ping_interval=None,
            close_timeout=CLOSE_SECONDS,
            logger=_quiet_log,
        )
    except InvalidStatus as refused:
        status = refused.response.status_code
        if status in _REFUSED:
            raise SocketForbidden(refused.response.headers.get("x-error-message", "")) from None
        raise BrokerUnavailable(f"the socket answered HTTP {status}") from None
    except (OSError, EOFError, WebSocketException) as error:
        raise BrokerUnavailable(f"cannot reach the socket: {type(error).__name__}") from None


async def receive(connection: ClientConnection) -> bytes | str:
    """The next frame. Raises BrokerUnavailable once the connection is lost, closed politely or not."""
    try:
        return await connection.recv()
    except ConnectionClosed as closed:
        raise BrokerUnavailable(closing_words(closed)) from None


async def send(connection: ClientConnection, message: str) -> None:
    """Raises BrokerUnavailable once the connection is lost."""
    try:
        await connection.send(message)
    except ConnectionClosed as closed:
        raise BrokerUnavailable(closing_words(closed)) from None


@asynccontextmanager
async def kept_alive(connection: ClientConnection) -> AsyncIterator[ClientConnection]:
    """Sends heartbeats as long as the block lasts, then closes."""
    beating = asyncio.create_task(_beat(connection))
    try:
        yield connection
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        await connection.close()


async def _beat(connection: ClientConnection) -> None:
    """Ends with the connection; whoever reads from it meets the loss."""
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        await send(connection, PING)


def closing_words(closed: ConnectionClosed) -> str:
    code = closed.rcvd.code if closed.rcvd else None
    return f"the socket was closed with code {code}" if code else "the socket broke"
