"""The market feed: subscriptions spread over as many connections as they need, and everything that comes in one stream."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import structlog

from brokers.angel_one.heartbeat import PONG, kept_alive
from brokers.angel_one.limits import LIMITS
from brokers.angel_one.symbols import AngelInstrument
from brokers.angel_one.ticks import Mode, decode_price, instant, unit_of
from brokers.instrument_tokens import InstrumentTokens
from brokers.sockets import AttentiveConnection, receive, send
from trading.instruments import InstrumentId
from trading.ports.broker import BrokerError, BrokerRefused, Tick
from trading.ports.clock import Clock

_SUBSCRIBE, _UNSUBSCRIBE = 1, 0
# Messages read and not yet taken. Beyond that the sockets wait, and so does the broker's server.
_WAITING_MESSAGES = 10_000
_log = structlog.get_logger()

Open = Callable[[], Awaitable[AttentiveConnection]]
# Exchange type and token: what a packet names its instrument by.
Key = tuple[int, str]


@dataclass(slots=True, eq=False)
class _Line:
    """One connection, and what is subscribed on it."""

    connection: AttentiveConnection
    known: dict[Key, tuple[InstrumentId, Decimal]] = field(default_factory=dict)


class AngelOneTickStream:
    """Use inside `async with`: connections, their heartbeats and readers end with the block."""

    def __init__(self, open: Open, tokens: InstrumentTokens, *, clock: Clock, mode: Mode) -> None:
        self._open = open
        self._tokens = tokens
        self._clock = clock
        self._mode = mode
        self._lines: list[_Line] = []
        self._arrived: asyncio.Queue[tuple[_Line, bytes | str | BrokerError]] = asyncio.Queue(_WAITING_MESSAGES)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "AngelOneTickStream":
        """The first connection is opened at once, so that a refusal is met here."""
        await self._add_line()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def last_heard_at(self) -> float:
        """Of the connection heard longest ago: one that has died must not hide behind the others."""
        return min(line.connection.heard_at for line in self._lines)

    async def _add_line(self) -> _Line:
        connection = await self._stack.enter_async_context(kept_alive(await self._open()))
        line = _Line(connection)
        reading = asyncio.create_task(self._listen(line))
        self._stack.push_async_callback(_end, reading)
        self._lines.append(line)
        return line

    async def _listen(self, line: _Line) -> None:
        try:
            while True:
                await self._arrived.put((line, await receive(line.connection)))
        except BrokerError as lost:
            await self._arrived.put((line, lost))

    async def subscribe(self, instruments: Iterable[InstrumentId]) -> None:
        """Raises BrokerRefused for what the broker's list does not know or the connections cannot carry, after the rest was asked
        for."""
        wanted, unknown = self._look_up(instruments)
        known: set[Key] = {key for line in self._lines for key in line.known}
        missing = [found for found in wanted if (found[1].exchange_type, found[1].token) not in known]
        while missing:
            line = await self._line_with_room()
            if line is None:
                break
            room = LIMITS.instruments_per_feed - len(line.known)
            await self._subscribe_on(line, missing[:room])
            missing = missing[room:]
        if unknown:
            raise BrokerRefused(f"not in the broker's instrument list: {', '.join(unknown)}")
        if missing:
            most = LIMITS.instruments_per_feed * LIMITS.feeds_per_key
            raise BrokerRefused(f"the broker sends prices of at most {most} instruments to one account")

    def _look_up(self, instruments: Iterable[InstrumentId]) -> tuple[list[tuple[InstrumentId, AngelInstrument]], list[str]]:
        wanted: list[tuple[InstrumentId, AngelInstrument]] = []
        unknown: list[str] = []
        for instrument in dict.fromkeys(instruments):
            token = self._tokens.token_of(instrument)
            if token is None:
                unknown.append(str(instrument))
            else:
                wanted.append((instrument, AngelInstrument.parse(token)))
        return wanted, unknown

    async def _line_with_room(self) -> _Line | None:
        for line in self._lines:
            if len(line.known) < LIMITS.instruments_per_feed:
                return line
        return await self._add_line() if len(self._lines) < LIMITS.feeds_per_key else None

    async def _subscribe_on(self, line: _Line, wanted: Sequence[tuple[InstrumentId, AngelInstrument]]) -> None:
        for instrument, found in wanted:
            line.known[found.exchange_type, found.token] = (instrument, unit_of(found.exchange_type))
        await self._request(line, _SUBSCRIBE, [(found.exchange_type, found.token) for _, found in wanted])

    async def unsubscribe(self, instruments: Iterable[InstrumentId]) -> None:
        leaving = set(instruments)
        for line in self._lines:
            keys = [key for key, (instrument, _) in line.known.items() if instrument in leaving]
            for key in keys:
                del line.known[key]
            if keys:
                await self._request(line, _UNSUBSCRIBE, keys)

    async def _request(self, line: _Line, action: int, keys: Sequence[Key]) -> None:
        tokens: dict[int, list[str]] = {}
        for exchange_type, token in keys:
            tokens.setdefault(exchange_type, []).append(token)
        listed = [{"exchangeType": exchange_type, "tokens": found} for exchange_type, found in tokens.items()]
        await send(line.connection, json.dumps({"action": action, "params": {"mode": int(self._mode), "tokenList": listed}}))

    async def __aiter__(self) -> AsyncIterator[Sequence[Tick]]:
        while True:
            line, message = await self._arrived.get()
            if isinstance(message, BrokerError):
                raise message
            if isinstance(message, str):
                _note_text(message)
                continue
            tick = self._tick(line, message)
            if tick is not None:
                yield (tick,)

    def _tick(self, line: _Line, message: bytes) -> Tick | None:
        """None: a packet that was on its way when its instrument was unsubscribed is nobody's."""
        received_at = self._clock.now()
        exchange_type, token, raw, milliseconds = decode_price(message)
        known = line.known.get((exchange_type, token))
        if known is None:
            return None
        instrument, unit = known
        event_time: datetime | None = instant(milliseconds)
        return Tick(instrument, raw * unit, received_at, event_time)


def _note_text(message: str) -> None:
    """Answers to heartbeats, and complaints about a subscription: that instrument falls silent, which is watched elsewhere."""
    if message != PONG:
        _log.error("feed_request_refused", broker="angel_one", message=message[:300])


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
