"""Fyers' market data socket. The first frame carries a key out of the access token; every topic begins with a snapshot.

The server sends nothing while nothing trades, not even a heartbeat, so life is what answers a ping of ours.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog
from websockets.asyncio.client import ClientConnection

from brokers.fyers import frames
from brokers.fyers.frames import Reply
from brokers.fyers.limits import LIMITS
from brokers.fyers.symbols import Key
from brokers.fyers.ticks import Feed, decode_data
from brokers.instrument_tokens import InstrumentTokens
from brokers.sockets import AttentiveConnection, receive, send
from trading.instruments import InstrumentId
from trading.ports.broker import BrokerRefused, BrokerUnavailable, Tick
from trading.ports.clock import Clock

# The broker's own client keeps a connection alive with a frame every ten seconds.
KEEP_ALIVE_SECONDS = 10.0
# The server is asked for signs of life more often: their absence has to be noticed within seconds.
PING_SECONDS = 2.0

# What a server that says nothing to the key is taken to have said.
NO_REPLY = Reply(frames.AUTH, accepted=False)

_log = structlog.get_logger()


class FeedForbidden(Exception):
    """The socket did not take the key. Only a REST call can tell whether the token is dead."""


class FeedSilent(Exception):
    """The socket said nothing to the key, which is what a dead token meets. Only a REST call can tell."""


async def authenticate(connection: ClientConnection, hsm_key: str, *, within_seconds: float) -> Reply:
    """Show the key. Raises FeedForbidden, FeedSilent, and BrokerUnavailable when the connection breaks."""
    await send(connection, frames.auth_frame(hsm_key))
    try:
        async with asyncio.timeout(within_seconds):
            while True:
                message = await receive(connection)
                if isinstance(message, bytes) and frames.frame_type(message) == frames.AUTH:
                    reply = frames.read_reply(message)
                    break
    except TimeoutError:
        raise FeedSilent from None
    if not reply.accepted:
        raise FeedForbidden
    await send(connection, frames.mode_frame(frames.FULL_MODE))
    return reply


@dataclass(slots=True)
class FyersTickStream:
    """Prices of the subscribed instruments. `event_time` is the last trade's time, whole seconds."""

    connection: AttentiveConnection
    tokens: InstrumentTokens
    clock: Clock
    acknowledge_every: int
    _known: dict[str, InstrumentId] = field(default_factory=dict)
    _feed: Feed = field(default_factory=Feed)
    _unacknowledged: int = 0

    @property
    def last_heard_at(self) -> float:
        return self.connection.heard_at

    async def subscribe(self, instruments: Iterable[InstrumentId]) -> None:
        wanted = {instrument: self.tokens.token_of(instrument) for instrument in instruments}
        found = {Key.parse(token).topic: instrument for instrument, token in wanted.items() if token is not None}
        if len(self._known.keys() | found.keys()) > LIMITS.instruments_per_feed:
            raise BrokerRefused(f"one connection carries at most {LIMITS.instruments_per_feed} instruments")
        self._known.update(found)
        for frame in frames.subscribe_frames(list(found)):
            await send(self.connection, frame)
        unknown = [str(instrument) for instrument, token in wanted.items() if token is None]
        if unknown:
            raise BrokerRefused(f"not in the broker's instrument list: {', '.join(unknown)}")

    async def unsubscribe(self, instruments: Iterable[InstrumentId]) -> None:
        leaving = set(instruments)
        topics = [topic for topic, instrument in self._known.items() if instrument in leaving]
        for topic in topics:
            del self._known[topic]
        for frame in frames.unsubscribe_frames(topics):
            await send(self.connection, frame)

    async def __aiter__(self) -> AsyncIterator[Sequence[Tick]]:
        while True:
            message = await receive(self.connection)
            if isinstance(message, bytes):
                ticks = await self._take(message)
                if ticks:
                    yield ticks

    async def _take(self, frame: bytes) -> list[Tick]:
        match frames.frame_type(frame):
            case frames.DATA:
                return await self._ticks(frame)
            case frames.SUBSCRIBE | frames.MODE:
                if not frames.read_reply(frame).accepted:
                    raise BrokerUnavailable("the market data socket refused a subscription")
            case frames.MESSAGE:
                said = frames.read_message(frame)
                # Some symbols get no prices now; whoever watches each symbol's age sees which.
                _log.error("feed_complains", broker="fyers", code=said.code, text=said.text, about=said.about)
        return []

    async def _ticks(self, frame: bytes) -> list[Tick]:
        received_at = self.clock.now()
        data = decode_data(frame)
        await self._acknowledge(data.message_number)
        ticks: list[Tick] = []
        for price in self._feed.prices(data.items):
            # What was on its way when its instrument was unsubscribed is nobody's.
            if (instrument := self._known.get(price.topic)) is not None:
                ticks.append(Tick(instrument, price.last_price, received_at, price.event_time))
        return ticks

    async def _acknowledge(self, message_number: int) -> None:
        if self.acknowledge_every <= 0:
            return
        self._unacknowledged += 1
        if self._unacknowledged >= self.acknowledge_every:
            self._unacknowledged = 0
            await send(self.connection, frames.acknowledge_frame(message_number))

    @asynccontextmanager
    async def kept_alive(self) -> AsyncIterator[None]:
        """Send what keeps the connection open while inside."""
        task = asyncio.create_task(self._keep_alive())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep_alive(self) -> None:
        """Ends with the connection; whoever reads from it meets the loss."""
        while True:
            await send(self.connection, frames.PING)
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
