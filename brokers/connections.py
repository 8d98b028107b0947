"""Warm connections that many accounts share; who asks is in each request's headers, so nothing is mixed up."""

import asyncio
import socket
import ssl
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache

import aiohappyeyeballs
import structlog

from brokers.answers import StatedTime
from brokers.calls import Call, Observer
from brokers.http_connection import ConnectionBroken, HttpConnection

# Each carries one order per journey to the broker and back: through 50 of them, at 40 ms, a thousand orders would take 0.8 s. So
# many are open only while a herd needs them.
WRITE_CONNECTIONS = 200
READ_CONNECTIONS = 20
# Shorter than the idle limit of common gateways, so that we close first and no order meets a connection being closed.
IDLE_SECONDS = 50.0
# A connection that is kept warm is replaced at this age: idle for longer, the other side may be closing it just then.
FRESH_SECONDS = 25.0
# A write whose bytes nobody acknowledges for this long breaks the connection, instead of the kernel's quarter of an hour.
UNACKNOWLEDGED_MILLISECONDS = 5_000
DNS_SECONDS = 60
# The next address of a name is tried beside one that has not connected by then (RFC 8305).
NEXT_ADDRESS_SECONDS = 0.25
STATED_TIMES = 500

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Origin:
    """The server that connections lead to."""

    host: str
    port: int
    is_https: bool


class Addresses:
    """What names resolve to, remembered for a minute and asked for once at a time."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, list[aiohappyeyeballs.AddrInfoType]]] = {}
        self._asking: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def of(self, host: str, port: int) -> list[aiohappyeyeballs.AddrInfoType]:
        """Raises OSError."""
        async with self._asking[host, port]:
            until, found = self._known.get((host, port), (0.0, []))
            if time.monotonic() >= until:
                # Brokers check the address orders come from; an IPv6 address that rotates is refused.
                loop = asyncio.get_running_loop()
                found = list(await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_STREAM))
                self._known[host, port] = (time.monotonic() + DNS_SECONDS, found)
            return found


class Lane:
    """Connections to any number of servers, at most `limit` of them in use; the last one used is the first to be used again."""

    def __init__(
        self, limit: int, *, idle_seconds: float, fresh_seconds: float, addresses: Addresses, trust: Callable[[], ssl.SSLContext]
    ) -> None:
        self.limit = limit
        self._idle_seconds = idle_seconds
        self._fresh_seconds = fresh_seconds
        self._addresses = addresses
        self._trust = trust
        self._slots = asyncio.Semaphore(limit)
        self._idle: defaultdict[Origin, dict[HttpConnection, asyncio.TimerHandle]] = defaultdict(dict)
        self._in_use: set[HttpConnection] = set()
        self._is_closed = False

    @asynccontextmanager
    async def connection(self, origin: Origin) -> AsyncIterator[HttpConnection]:
        """One that can be written to now, for one request. Waits for one of the limit; raises OSError or ConnectionBroken."""
        async with self._slots:
            chosen = self._take(origin) or await self._connect(origin)
            if not chosen.is_usable:
                raise ConnectionBroken("the connection ended before a byte was written")
            self._in_use.add(chosen)
            try:
                yield chosen
            finally:
                self._in_use.discard(chosen)
                self._give_back(origin, chosen)

    async def warm(self, origin: Origin, count: int, *, timeout_seconds: float) -> int:
        """Have up to `count` idle connections, replacing those that are old; how many there are. Never raises."""
        idle = self._idle[origin]
        for old in [one for one in idle if not self._is_fresh(one)]:
            idle.pop(old).cancel()
            old.close()
        missing = min(count, self.limit) - len(idle)
        opening = (self._add(origin, timeout_seconds) for _ in range(missing))
        await asyncio.gather(*opening, return_exceptions=True)
        return min(count, len(idle))

    async def _add(self, origin: Origin, timeout_seconds: float) -> None:
        async with asyncio.timeout(timeout_seconds), self._slots:
            self._give_back(origin, await self._connect(origin))

    def close(self) -> None:
        """Nothing is sent any more; what waits for an answer gets none."""
        self._is_closed = True
        for connection in [*self._in_use, *(one for idle in self._idle.values() for one in idle)]:
            connection.close()
        for idle in self._idle.values():
            while idle:
                idle.popitem()[1].cancel()

    def _is_fresh(self, connection: HttpConnection) -> bool:
        return connection.is_usable and time.monotonic() - connection.opened_at < self._fresh_seconds

    def _take(self, origin: Origin) -> HttpConnection | None:
        idle = self._idle[origin]
        while idle:
            chosen, closing = idle.popitem()
            closing.cancel()
            if chosen.is_usable:
                return chosen
        return None

    def _give_back(self, origin: Origin, connection: HttpConnection) -> None:
        if self._is_closed or not connection.is_usable:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        self._idle[origin][connection] = loop.call_later(self._idle_seconds, self._retire, origin, connection)

    def _retire(self, origin: Origin, connection: HttpConnection) -> None:
        self._idle[origin].pop(connection, None)
        connection.close()

    async def _connect(self, origin: Origin) -> HttpConnection:
        if self._is_closed:
            raise ConnectionBroken("the connections are closed")
        addresses = await self._addresses.of(origin.host, origin.port)
        opened = await aiohappyeyeballs.start_connection(
            addresses, happy_eyeballs_delay=NEXT_ADDRESS_SECONDS, socket_factory=open_socket
        )
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                HttpConnection,
                sock=opened,
                ssl=self._trust() if origin.is_https else None,
                server_hostname=origin.host if origin.is_https else None,
            )
        except BaseException:
            opened.close()
            raise
        return connection


def open_socket(address: aiohappyeyeballs.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MILLISECONDS)
    return opened


@cache
def system_trust() -> ssl.SSLContext:
    """The system's certificates, and HTTP/1.1 only. Read once: that takes longer than an order may."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


@dataclass(slots=True)
class ConnectionPool:
    """Writes and reads have lanes of their own: a stop never queues behind hung reads."""

    write_connections: int = WRITE_CONNECTIONS
    read_connections: int = READ_CONNECTIONS
    idle_seconds: float = IDLE_SECONDS
    fresh_seconds: float = FRESH_SECONDS
    trust: Callable[[], ssl.SSLContext] = system_trust
    # Told of every call once it is over.
    on_call: Observer | None = None
    # The newest times that servers have stated, for whoever compares clocks; read by nobody here.
    stated: deque[StatedTime] = field(default_factory=lambda: deque(maxlen=STATED_TIMES), init=False)
    writes: Lane = field(init=False)
    reads: Lane = field(init=False)

    def __post_init__(self) -> None:
        addresses = Addresses()
        self.writes, self.reads = (
            Lane(
                limit,
                idle_seconds=self.idle_seconds,
                fresh_seconds=self.fresh_seconds,
                addresses=addresses,
                trust=self.trust,
            )
            for limit in (self.write_connections, self.read_connections)
        )

    def tell(self, call: Call) -> None:
        """An observer that fails must not cost anybody the answer of an order."""
        if self.on_call is None:
            return
        try:
            self.on_call(call)
        except Exception as error:  # noqa: BLE001 (whatever a measurement meets, the answer it is about goes its way)
            _log.error("call_not_observed", error=repr(error))

    async def close(self) -> None:
        self.writes.close()
        self.reads.close()
