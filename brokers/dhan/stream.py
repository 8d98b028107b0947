"""Dhan's market feed: prices over a socket of its own.

The access token travels in the URL: nothing here logs a URL, follows a redirect or lets the socket library's debug log see one.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import urlencode

from brokers.dhan import words
from brokers.dhan.limits import LIMITS
from brokers.dhan.ticks import PAISA, Goodbye, decode_prices, price, trade_time
from brokers.exact_json import Encodable, encode_json
from brokers.instrument_tokens import InstrumentTokens
from brokers.sockets import AttentiveConnection, HandshakeRefused, open_socket, receive, send
from trading.accounts import Credentials
from trading.instruments import InstrumentId
from trading.ports.broker import BrokerRefused, BrokerUnavailable, Tick
from trading.ports.clock import Clock

SUBSCRIBE, UNSUBSCRIBE = 15, 16
INSTRUMENTS_PER_MESSAGE = 100
# The server pings every ten seconds, too seldom to notice a dead line in time: our own pings are answered at once.
PING_SECONDS = 2.0
_GOODBYES = {
    805: "too many connections of this user",
    806: "this account has no market data plan",
    807: "the access token has expired",
    808: "the client id or the access token is wrong",
    809: "the access token is wrong",
    810: "the client id is wrong",
}


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
    """Prices of what was subscribed, one message of the socket at a time."""

    connection: AttentiveConnection
    tokens: InstrumentTokens
    clock: Clock
    _known: dict[tuple[int, int], tuple[InstrumentId, Decimal]] = field(default_factory=dict, init=False)

    @property
    def last_heard_at(self) -> float:
        return self.connection.heard_at

    async def subscribe(self, instruments: Iterable[InstrumentId]) -> None:
        wanted = {instrument: self.tokens.token_of(instrument) for instrument in instruments}
        found = {instrument: token for instrument, token in wanted.items() if token is not None}
        keys = {_key(token): (instrument, self._tick(instrument)) for instrument, token in found.items()}
        if len(self._known.keys() | keys.keys()) > LIMITS.instruments_per_feed:
            raise BrokerRefused(f"one connection carries at most {LIMITS.instruments_per_feed} instruments")
        self._known.update(keys)
        await self._send(SUBSCRIBE, list(found.values()))
        unknown = [str(instrument) for instrument, token in wanted.items() if token is None]
        if unknown:
            raise BrokerRefused(f"not in the broker's instrument list: {', '.join(unknown)}")

    def _tick(self, instrument: InstrumentId) -> Decimal:
        return self.tokens.tick_of(instrument) or PAISA

    async def unsubscribe(self, instruments: Iterable[InstrumentId]) -> None:
        leaving = [token for instrument in instruments if (token := self.tokens.token_of(instrument)) is not None]
        leaving = [token for token in leaving if self._known.pop(_key(token), None) is not None]
        await self._send(UNSUBSCRIBE, leaving)

    async def _send(self, code: int, tokens: Sequence[str]) -> None:
        for start in range(0, len(tokens), INSTRUMENTS_PER_MESSAGE):
            message = _message(code, tokens[start : start + INSTRUMENTS_PER_MESSAGE])
            await send(self.connection, encode_json(message).decode())

    async def __aiter__(self) -> AsyncIterator[Sequence[Tick]]:
        while True:
            message = await receive(self.connection)
            if isinstance(message, bytes):
                ticks = self._ticks(message)
                if ticks:
                    yield ticks

    def _ticks(self, frame: bytes) -> list[Tick]:
        received_at = self.clock.now()
        ticks: list[Tick] = []
        for one in decode_prices(frame):
            if isinstance(one, Goodbye):
                raise BrokerUnavailable(f"the market feed says goodbye: {_GOODBYES.get(one.reason, f'code {one.reason}')}")
            # A packet that was on its way when its instrument was unsubscribed is nobody's.
            if (known := self._known.get((one.segment, one.security_id))) is None:
                continue
            instrument, tick_size = known
            last = price(one.raw, tick_size)
            # Never traded today, not worth nothing.
            if last > 0:
                ticks.append(Tick(instrument, last, received_at, trade_time(one.seconds, now=received_at)))
        return ticks


_SEGMENT_BYTES = {word: number for number, word in words.FEED_SEGMENTS.items()}


def _key(token: str) -> tuple[int, int]:
    """As packets name an instrument: segment byte and security id."""
    segment, security_id = words.split_token(token)
    return _SEGMENT_BYTES.get(segment, -1), int(security_id)


def _message(code: int, tokens: Sequence[str]) -> dict[str, Encodable]:
    listed = [words.split_token(token) for token in tokens]
    return {
        "RequestCode": code,
        "InstrumentCount": len(listed),
        "InstrumentList": [{"ExchangeSegment": segment, "SecurityId": security_id} for segment, security_id in listed],
    }
