"""What Dhan's two sockets have in common: how they are opened, when they were last heard, how they end."""

import logging
import time
from typing import Any, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from trading.ports.broker import BrokerUnavailable
from trading.ports.clock import Clock

# The server pings every ten seconds, which is too seldom to notice a dead line in time: our own pings are answered at once.
PING_SECONDS = 2.0
PONG_SECONDS = 5.0
CLOSE_SECONDS = 1.0

_quiet_log = logging.getLogger("brokers.dhan.socket")
_quiet_log.setLevel(logging.INFO)


class Socket(ClientConnection):
    """Knows when its last byte came, those of pings and pongs included, which the library keeps to itself."""

    clock: Clock | None = None
    _heard_at: float = 0.0

    @property
    def heard_at(self) -> float:
        """Monotonic seconds of our clock."""
        return self._heard_at

    def data_received(self, data: bytes) -> None:
        self._heard_at = self.clock.monotonic() if self.clock is not None else time.monotonic()
        super().data_received(data)


class _ConnectWithoutRedirects(connect):
    """A redirect would carry the token elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


async def open_socket(url: str, *, clock: Clock, open_seconds: float) -> Socket:
    """Raises BrokerUnavailable, without the URL in its words."""

    def make(*arguments: Any, **named: Any) -> Socket:
        made = Socket(*arguments, **named)
        made.clock = clock
        return made

    try:
        opened = await _ConnectWithoutRedirects(
            url,
            create_connection=make,  # type: ignore[arg-type]
            proxy=None,
            compression=None,
            open_timeout=open_seconds,
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            close_timeout=CLOSE_SECONDS,
            logger=_quiet_log,
        )
    except InvalidStatus as refused:
        raise BrokerUnavailable(f"the socket answered HTTP {refused.response.status_code}") from None
    except (OSError, EOFError, WebSocketException) as error:
        raise BrokerUnavailable(f"cannot reach the socket: {type(error).__name__}") from None
    return cast(Socket, opened)


async def receive(connection: ClientConnection) -> bytes | str:
    """The next message. Raises BrokerUnavailable once the connection is lost, closed politely or not."""
    try:
        return await connection.recv()
    except ConnectionClosed as closed:
        raise BrokerUnavailable(closing_words(closed)) from None


def closing_words(closed: ConnectionClosed) -> str:
    code = closed.rcvd.code if closed.rcvd else None
    return f"the socket ended, close code {code}" if code else "the socket broke"
