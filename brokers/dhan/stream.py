"""Dhan's market feed: prices over a socket of its own.

The access token travels in the URL: nothing here logs a URL, follows a redirect or lets the socket library's debug log see one.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias
from urllib.parse import urlencode

from brokers.dhan import words
from brokers.dhan.ticks import PAISA, Goodbye, decode_prices, price, trade_time
from brokers.exact_json import Encodable, encode_json
from brokers.instrument_tokens import InstrumentTokens
from brokers.lines import Lines
from brokers.sockets import AttentiveConnection, HandshakeRefused, open_socket, send
from trading.accounts import Credentials
from trading.instruments import InstrumentId
from trading.ports.broker import BrokerError, BrokerRefused, BrokerUnavailable, Tick
from trading.ports.clock import Clock

SUBSCRIBE, UNSUBSCRIBE = 15, 16
INSTRUMENTS_PER_MESSAGE = 100
# The server pings every ten seconds, too seldom to notice a dead line in time: our own pings are answered at once.
PING_SECONDS = 2.0
NO_DATA_PLAN = 806
_GOODBYES = {
    805: "too many connections of this user",
    NO_DATA_PLAN: "this account has no market data plan",
    807: "the access token has expired",
    808: "the client id or the access token is wrong",
    809: "the access token is wrong",
    810: "the client id is wrong",
}

# As packets name an instrument: segment byte and security id.
Key: TypeAlias = tuple[int, int]


def feed_url(ws_url: str, *, credentials: Credentials) -> str:
    query = {
        "version": "2",
        "token": credentials.access_token or "",
        "clientId": credentials.broker_user_id,
        "authType": "2",
    }
    return f"{ws_url.rstrip('/')}?{urlencode(query)}"


async def open_feed(ws_url: str, *, credentials: Credentials, open_seconds: float) -> AttentiveConnection:
    """Raises BrokerUnavailable. A bad token may be taken here and answered with a goodbye later."""
    return await connected(feed_url(ws_url, credentials=credentials), open_seconds=open_seconds)


async def connected(url: str, *, open_seconds: float) -> AttentiveConnection:
    """Either of Dhan's sockets. Raises BrokerUnavailable: no status of a handshake says anything for certain."""
    try:
        return await open_socket(url, headers={}, open_seconds=open_seconds, ping_seconds=PING_SECONDS)
    except HandshakeRefused as refused:
        raise BrokerUnavailable(f"the socket answered HTTP {refused.status}") from None


@dataclass(slots=True)
class DhanTickStream:
    """Prices of what was subscribed, one message of a socket at a time."""

    lines: Lines[Key]
    tokens: InstrumentTokens
    clock: Clock
    _known: dict[Key, tuple[InstrumentId, Decimal]] = field(default_factory=dict, init=False)

    @property
    def last_heard_at(self) -> float:
        return self.lines.heard_at

    async def subscribe(self, instruments: Iterable[InstrumentId]) -> None:
        wanted = {instrument: self.tokens.token_of(instrument) for instrument in instruments}
        found = {_key(token): instrument for instrument, token in wanted.items() if token is not None}
        for connection, keys in await self.lines.spread(found):
            self._known.update({key: (found[key], self.tokens.tick_of(found[key]) or PAISA) for key in keys})
            await _request(connection, SUBSCRIBE, keys)
        unknown = [str(instrument) for instrument, token in wanted.items() if token is None]
        if unknown:
            raise BrokerRefused(f"not in the broker's instrument list: {', '.join(unknown)}")

    async def unsubscribe(self, instruments: Iterable[InstrumentId]) -> None:
        leaving = set(instruments)
        for connection, keys in self.lines.drop(key for key, (instrument, _) in self._known.items() if instrument in leaving):
            for key in keys:
                del self._known[key]
            await _request(connection, UNSUBSCRIBE, keys)

    async def __aiter__(self) -> AsyncIterator[Sequence[Tick]]:
        async for message in self.lines.messages():
            if isinstance(message, bytes):
                ticks = self._ticks(message)
                if ticks:
                    yield ticks

    def _ticks(self, frame: bytes) -> list[Tick]:
        received_at = self.clock.now()
        ticks: list[Tick] = []
        for one in decode_prices(frame):
            if isinstance(one, Goodbye):
                raise _farewell(one.reason)
            # A packet that was on its way when its instrument was unsubscribed is nobody's.
            if (known := self._known.get((one.segment, one.security_id))) is None:
                continue
            instrument, tick_size = known
            last = price(one.raw, tick_size)
            # Never traded today, not worth nothing.
            if last > 0:
                ticks.append(Tick(instrument, last, received_at, trade_time(one.seconds, now=received_at)))
        return ticks


def _farewell(reason: int) -> BrokerError:
    """A dead token shows itself as such when the next connection is made; an account without prices must not be tried again."""
    words = f"the market feed says goodbye: {_GOODBYES.get(reason, f'code {reason}')}"
    return BrokerRefused(words) if reason == NO_DATA_PLAN else BrokerUnavailable(words)


_SEGMENT_BYTES = {word: number for number, word in words.FEED_SEGMENTS.items()}


def _key(token: str) -> Key:
    segment, security_id = words.split_token(token)
    return _SEGMENT_BYTES[segment], int(security_id)


async def _request(connection: AttentiveConnection, code: int, keys: Sequence[Key]) -> None:
    """Raises BrokerUnavailable when the connection is lost."""
    for start in range(0, len(keys), INSTRUMENTS_PER_MESSAGE):
        some = keys[start : start + INSTRUMENTS_PER_MESSAGE]
        message: dict[str, Encodable] = {
            "RequestCode": code,
            "InstrumentCount": len(some),
            "InstrumentList": [
                {"ExchangeSegment": words.FEED_SEGMENTS[byte], "SecurityId": str(number)} for byte, number in some
            ],
        }
        await send(connection, encode_json(message).decode())
