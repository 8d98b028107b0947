"""The market feed: what is subscribed, and what comes of it. Connections are opened as they are needed."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

import structlog

from brokers.angel_one.heartbeat import PONG
from brokers.angel_one.symbols import AngelInstrument
from brokers.angel_one.ticks import Mode, decode_price, instant, unit_of
from brokers.instrument_tokens import InstrumentTokens
from brokers.lines import Lines
from brokers.sockets import AttentiveConnection, send
from trading.instruments import InstrumentId
from trading.ports.broker import BrokerRefused, Tick
from trading.ports.clock import Clock

_SUBSCRIBE, _UNSUBSCRIBE = 1, 0
_log = structlog.get_logger()

# Exchange type and token: what a packet names its instrument by.
Key: TypeAlias = tuple[int, str]


@dataclass(slots=True)
class AngelOneTickStream:
    """Prices of what was subscribed, one message of a socket at a time."""

    lines: Lines[Key]
    tokens: InstrumentTokens
    clock: Clock
    mode: Mode
    _known: dict[Key, tuple[InstrumentId, Decimal]] = field(default_factory=dict, init=False)

    @property
    def last_heard_at(self) -> float:
        return self.lines.heard_at

    async def subscribe(self, instruments: Iterable[InstrumentId]) -> None:
        """Raises BrokerRefused for what the broker's list does not know, after the rest was asked for."""
        wanted = {instrument: self.tokens.token_of(instrument) for instrument in instruments}
        found = {_key(token): instrument for instrument, token in wanted.items() if token is not None}
        for connection, keys in await self.lines.spread(found):
            self._known.update({key: (found[key], unit_of(key[0])) for key in keys})
            await self._request(connection, _SUBSCRIBE, keys)
        unknown = [str(instrument) for instrument, token in wanted.items() if token is None]
        if unknown:
            raise BrokerRefused(f"not in the broker's instrument list: {', '.join(unknown)}")

    async def unsubscribe(self, instruments: Iterable[InstrumentId]) -> None:
        leaving = set(instruments)
        for connection, keys in self.lines.drop(key for key, (instrument, _) in self._known.items() if instrument in leaving):
            for key in keys:
                del self._known[key]
            await self._request(connection, _UNSUBSCRIBE, keys)

    async def _request(self, connection: AttentiveConnection, action: int, keys: Sequence[Key]) -> None:
        tokens: dict[int, list[str]] = {}
        for exchange_type, token in keys:
            tokens.setdefault(exchange_type, []).append(token)
        listed = [{"exchangeType": exchange_type, "tokens": found} for exchange_type, found in tokens.items()]
        await send(connection, json.dumps({"action": action, "params": {"mode": int(self.mode), "tokenList": listed}}))

    async def __aiter__(self) -> AsyncIterator[Sequence[Tick]]:
        async for message in self.lines.messages():
            if isinstance(message, str):
                _note_text(message)
            elif (tick := self._tick(message)) is not None:
                yield (tick,)

    def _tick(self, message: bytes) -> Tick | None:
        """None: a packet that was on its way when its instrument was unsubscribed is nobody's."""
        received_at = self.clock.now()
        exchange_type, token, raw, milliseconds = decode_price(message)
        known = self._known.get((exchange_type, token))
        if known is None:
            return None
        instrument, unit = known
        return Tick(instrument, raw * unit, received_at, instant(milliseconds))


def _key(token: str) -> Key:
    listed = AngelInstrument.parse(token)
    return listed.exchange_type, listed.token


def _note_text(message: str) -> None:
    """Answers to heartbeats, and complaints about a subscription: that instrument falls silent, which is watched elsewhere."""
    if message != PONG:
        _log.error("feed_request_refused", broker="angel_one", message=message[:300])
