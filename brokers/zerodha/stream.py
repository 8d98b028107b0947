"""Kite's ticker socket: prices, and on every connection of a user the updates of that user's orders.

The access token travels in the URL: nothing here logs a URL, follows a redirect or lets the socket library's debug log see one.
"""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from brokers.exact_json import parse_json
from brokers.instrument_tokens import InstrumentTokens
from brokers.sockets import (
    PING_SECONDS,
    AttentiveConnection,
    HandshakeRefused,
    open_socket,
    receive,
    receive_unless_silent,
    send,
)
from brokers.zerodha.limits import LIMITS
from brokers.zerodha.orders import read_order
from brokers.zerodha.ticks import Mode, decode_prices, unit_of
from trading.accounts import Credentials
from trading.instruments import InstrumentId
from trading.orders import BrokerOrder
from trading.ports.broker import BrokerRefused, BrokerUnavailable, Leisure, Tick, UnreadableAnswer, at_once
from trading.ports.clock import Clock


class TickerForbidden(Exception):
    """HTTP 403: the token is dead, or the app has no market data plan. Only a REST call can tell which."""


class UpdatesConnection(AttentiveConnection):
    """A connection whose order updates alone are wanted, which are texts. Heartbeats show that it lives and wake nobody: a
    thousand accounts receive a thousand a second, and each would have made some twenty objects anew."""

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.opcode is Opcode.BINARY and event.fin:
            return
        super().process_event(event)


async def open_ticker(ws_url: str, *, credentials: Credentials, open_seconds: float) -> AttentiveConnection:
    """A connected socket for prices. Raises TickerForbidden for HTTP 403, BrokerUnavailable for every other failure."""
    return await _open(ws_url, credentials, open_seconds, AttentiveConnection, ping_seconds=PING_SECONDS)


async def open_updates(ws_url: str, *, credentials: Credentials, open_seconds: float) -> AttentiveConnection:
    """As `open_ticker`, for order updates alone. The server sends a heartbeat every second or two: for the updates of a thousand
    accounts these must do, without pings beside them."""
    return await _open(ws_url, credentials, open_seconds, UpdatesConnection, ping_seconds=None)


async def _open(
    ws_url: str, credentials: Credentials, open_seconds: float, kind: type[AttentiveConnection], *, ping_seconds: float | None
) -> AttentiveConnection:
    query = urlencode({"api_key": credentials.api_key, "access_token": credentials.access_token or ""})
    url, headers = f"{ws_url.rstrip('/')}/?{query}", {"X-Kite-Version": "3"}
    try:
        return await open_socket(url, headers=headers, open_seconds=open_seconds, ping_seconds=ping_seconds, kind=kind)
    except HandshakeRefused as refused:
        if refused.status == 403:
            raise TickerForbidden from None
        raise BrokerUnavailable(f"the ticker answered HTTP {refused.status}") from None


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
            await send(self.connection, json.dumps({"a": "subscribe", "v": list(found)}))
            await send(self.connection, json.dumps({"a": "mode", "v": [self.mode.value, list(found)]}))
        unknown = [str(instrument) for instrument, token in wanted.items() if token is None]
        if unknown:
            raise BrokerRefused(f"not in the broker's instrument list: {', '.join(unknown)}")

    async def unsubscribe(self, instruments: Iterable[InstrumentId]) -> None:
        leaving = set(instruments)
        tokens = [token for token, (instrument, _) in self._known.items() if instrument in leaving]
        for token in tokens:
            del self._known[token]
        if tokens:
            await send(self.connection, json.dumps({"a": "unsubscribe", "v": tokens}))

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


async def order_updates(
    connection: AttentiveConnection, *, silence_seconds: float, leisure: Leisure = at_once
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
