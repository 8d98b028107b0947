"""Kite's ticker socket: prices, and on every connection of a user the updates of that user's orders.

The access token travels in the URL: nothing here logs a URL, follows a redirect or lets the socket library's debug log see one.
"""

import json
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from brokers.exact_json import parse_json
from brokers.instrument_tokens import InstrumentTokens
from brokers.sockets import AttentiveConnection, receive_unless_silent
from brokers.zerodha.limits import LIMITS
from brokers.zerodha.orders import read_order
from brokers.zerodha.ticks import Mode, decode_prices, unit_of
from trading.accounts import Credentials
from trading.instruments import InstrumentId
from trading.orders import BrokerOrder
from trading.ports.broker import BrokerRefused, BrokerUnavailable, Leisure, Tick, UnreadableAnswer, at_once
from trading.ports.clock import Clock

# The server sends a heartbeat every second or two. A feed that dies without a word is noticed by an unanswered ping as well; for
# the order updates of a thousand accounts the heartbeats alone must do.
PING_SECONDS = 5.0
PONG_SECONDS = 5.0
CLOSE_SECONDS = 1.0

_quiet_log = logging.getLogger("brokers.zerodha.socket")
_quiet_log.setLevel(logging.INFO)


class TickerForbidden(Exception):
    """HTTP 403: the token is dead, or the app has no market data plan. Only a REST call can tell which."""


class _ConnectWithoutRedirects(connect):
    """A redirect would carry the token elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class UpdatesConnection(AttentiveConnection):
    """A connection whose order updates alone are wanted, which are texts. Heartbeats show that it lives and wake nobody: a
    thousand accounts receive a thousand a second, and each would have made some twenty objects anew."""

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.opcode is Opcode.BINARY and event.fin:
            return
        super().process_event(event)


async def open_ticker(ws_url: str, *, credentials: Credentials, open_seconds: float) -> ClientConnection:
    """A connected socket for prices. Raises TickerForbidden for HTTP 403, BrokerUnavailable for every other failure."""
    return await _open(ws_url, credentials, open_seconds, ClientConnection, ping_seconds=PING_SECONDS)


async def open_updates(ws_url: str, *, credentials: Credentials, open_seconds: float) -> UpdatesConnection:
    """As `open_ticker`, for order updates alone."""
    return cast("UpdatesConnection", await _open(ws_url, credentials, open_seconds, UpdatesConnection, ping_seconds=None))


async def _open(
    ws_url: str, credentials: Credentials, open_seconds: float, kind: type[ClientConnection], *, ping_seconds: float | None
) -> ClientConnection:
    query = urlencode({"api_key": credentials.api_key, "access_token": credentials.access_token or ""})
    try:
        return await _ConnectWithoutRedirects(
            f"{ws_url.rstrip('/')}/?{query}",
            create_connection=kind,
            additional_headers={"X-Kite-Version": "3"},
            proxy=None,
            compression=None,
            open_timeout=open_seconds,
            ping_interval=ping_seconds,
            ping_timeout=PONG_SECONDS,
            close_timeout=CLOSE_SECONDS,
            logger=_quiet_log,
        )
    except InvalidStatus as refused:
        status = refused.response.status_code
        if status == 403:
            raise TickerForbidden from None
        raise BrokerUnavailable(f"the ticker answered HTTP {status}") from None
    except (OSError, EOFError, WebSocketException) as error:
        raise BrokerUnavailable(f"cannot reach the ticker: {type(error).__name__}") from None


@dataclass(slots=True)
class ZerodhaTickStream:
    """Prices of the subscribed instruments. `event_time` is the last trade's time, whole seconds, in full mode only."""

    connection: ClientConnection
    tokens: InstrumentTokens
    clock: Clock
    mode: Mode
    last_heard_at: float
    _known: dict[int, tuple[InstrumentId, Decimal]] = field(default_factory=dict)

    async def subscribe(self, instruments: Iterable[InstrumentId]) -> None:
        wanted = {instrument: self.tokens.token_of(instrument) for instrument in instruments}
        found = {int(token): instrument for instrument, token in wanted.items() if token is not None}
        if len(self._known.keys() | found.keys()) > LIMITS.instruments_per_feed:
            raise BrokerRefused(f"one connection carries at most {LIMITS.instruments_per_feed} instruments")
        self._known.update({token: (instrument, unit_of(token)) for token, instrument in found.items()})
        if found:
            await self._send({"a": "subscribe", "v": list(found)})
            await self._send({"a": "mode", "v": [self.mode.value, list(found)]})
        unknown = [str(instrument) for instrument, token in wanted.items() if token is None]
        if unknown:
            raise BrokerRefused(f"not in the broker's instrument list: {', '.join(unknown)}")

    async def unsubscribe(self, instruments: Iterable[InstrumentId]) -> None:
        leaving = set(instruments)
        tokens = [token for token, (instrument, _) in self._known.items() if instrument in leaving]
        for token in tokens:
            del self._known[token]
        if tokens:
            await self._send({"a": "unsubscribe", "v": tokens})

    async def _send(self, message: object) -> None:
        try:
            await self.connection.send(json.dumps(message))
        except ConnectionClosed as closed:
            raise BrokerUnavailable(_closing_words(closed)) from None

    async def __aiter__(self) -> AsyncIterator[Sequence[Tick]]:
        while True:
            message = await receive(self.connection)
            self.last_heard_at = self.clock.monotonic()
            if isinstance(message, bytes):
                ticks = self._ticks(message)
                if ticks:
                    yield ticks

    def _ticks(self, frame: bytes) -> list[Tick]:
        received_at = self.clock.now()
        times: dict[int, datetime | None] = {0: None}
        ticks: list[Tick] = []
        for token, raw, seconds in decode_prices(frame):
            # A packet that was on its way when its instrument was unsubscribed is nobody's.
            if (known := self._known.get(token)) is None:
                continue
            if seconds not in times:
                times[seconds] = datetime.fromtimestamp(seconds, UTC)
            instrument, unit = known
            ticks.append(Tick(instrument, raw * unit, received_at, times[seconds]))
        return ticks


async def receive(connection: ClientConnection) -> bytes | str:
    """The next frame. Raises BrokerUnavailable once the connection is lost, closed politely or not."""
    try:
        return await connection.recv()
    except ConnectionClosed as closed:
        raise BrokerUnavailable(_closing_words(closed)) from None


async def order_updates(
    connection: UpdatesConnection, *, silence_seconds: float, leisure: Leisure = at_once
) -> AsyncIterator[BrokerOrder]:
    """Orders of this account as they change. Raises BrokerUnavailable when not even a heartbeat was heard for so long."""
    while True:
        message = await receive_unless_silent(connection, silence_seconds=silence_seconds, what="the order updates")
        await leisure()
        if isinstance(message, str) and (order := read_update(message)) is not None:
            yield order


def read_update(message: str) -> BrokerOrder | None:
    """The order in a text frame, None for other kinds of message. Raises UnreadableAnswer for anything else."""
    try:
        value = parse_json(message)
    except ValueError:
        raise UnreadableAnswer("a text frame that is not JSON") from None
    if not isinstance(value, dict):
        raise UnreadableAnswer("a text frame that is not an object")
    return read_order(value.get("data")) if value.get("type") == "order" else None


def _closing_words(closed: ConnectionClosed) -> str:
    code = closed.rcvd.code if closed.rcvd else None
    return f"the ticker connection ended, close code {code}" if code else "the ticker connection broke"
