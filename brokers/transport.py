"""The only module that talks HTTP: one attempt per call, over a bounded pool of warm connections.

Three habits of the HTTP library matter for money; tests against raw servers hold them in place. It sends PUT and DELETE a second
time by itself when a reused connection breaks: stopped here, the second attempt is refused before its first byte. It follows
redirects: switched off, a redirect is an answer. Its request hooks run before the bytes they announce, and headers leave together
with the first chunk of the body: so "was the first byte written?" has a certain answer.
"""

import asyncio
import math
import socket
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TypeAlias
from urllib.parse import urlencode

import aiohttp
import structlog
from aiohttp.abc import AbstractCookieJar
from yarl import URL

from brokers.answers import Answered, NoAnswer, NotSent, StatedTime, WireResult
from brokers.calls import Call, Observer, outcome_of
from trading.ports.broker import MaySend

WRITE_CONNECTIONS = 50
READ_CONNECTIONS = 20
# Shorter than the idle limit of common gateways, so that we close first and no order meets a connection being closed.
IDLE_SECONDS = 50.0
# A connection that is kept warm is replaced at this age: idle for longer, the other side may be closing it just then.
FRESH_SECONDS = 25.0
# A write whose bytes nobody acknowledges for this long breaks the connection, instead of the kernel's quarter of an hour.
UNACKNOWLEDGED_MILLISECONDS = 5_000
DNS_SECONDS = 60
STATED_TIMES = 500

Pairs = Sequence[tuple[str, str]]
_Body: TypeAlias = aiohttp.BytesPayload
_log = structlog.get_logger()


class _TooLate(Exception):
    """The caller's last-moment check said no."""


class _SecondAttempt(Exception):
    """The HTTP library was about to send the request again."""


@dataclass(slots=True)
class _Attempt:
    """One request's way to the wire. `began` turns true right before the first byte is written, never later."""

    has_body: bool
    may_send: MaySend
    connected: bool = False
    began: bool = False
    too_late: bool = False

    def begin(self) -> None:
        if not self.may_send():
            self.too_late = True
            raise _TooLate
        self.began = True

    def failure(self, error: Exception) -> NotSent | NoAnswer:
        if self.too_late:
            return NotSent("too late: the moment to send it had passed")
        why = _describe(error)
        return NoAnswer(why) if self.began else NotSent(why)


def always() -> bool:
    """For requests without a moment after which they must not be sent."""
    return True


async def _connecting(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    attempt: _Attempt = context.trace_request_ctx
    if attempt.connected:
        raise _SecondAttempt


async def _headers_ready(_: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceRequestHeadersSentParams) -> None:
    attempt: _Attempt = context.trace_request_ctx
    if attempt.connected:
        raise _SecondAttempt
    attempt.connected = True
    if not attempt.has_body:
        attempt.begin()


async def _chunk_ready(_: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceRequestChunkSentParams) -> None:
    attempt: _Attempt = context.trace_request_ctx
    if not attempt.began:
        attempt.begin()


def _tracing() -> aiohttp.TraceConfig:
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_queued_start.append(_connecting)
    tracing.on_connection_create_start.append(_connecting)
    tracing.on_request_headers_sent.append(_headers_ready)
    tracing.on_request_chunk_sent.append(_chunk_ready)
    tracing.freeze()
    return tracing


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MILLISECONDS)
    return opened


@dataclass(slots=True)
class ConnectionPool:
    """Warm connections that many accounts share; who asks is in each request's headers, so nothing is mixed up.

    Writes and reads have lanes of their own: a stop never queues behind hung reads. Sessions open on first use, inside the event
    loop that uses them.
    """

    write_connections: int = WRITE_CONNECTIONS
    read_connections: int = READ_CONNECTIONS
    idle_seconds: float = IDLE_SECONDS
    fresh_seconds: float = FRESH_SECONDS
    # Told of every call once it is over.
    on_call: Observer | None = None
    # The newest times that servers have stated, for whoever compares clocks; read by nobody here.
    stated: deque[StatedTime] = field(default_factory=lambda: deque(maxlen=STATED_TIMES), init=False)
    # When the socket of that number was opened, monotonic seconds.
    _opened: dict[int, float] = field(default_factory=dict, init=False)
    _writes: aiohttp.ClientSession | None = field(default=None, init=False)
    _reads: aiohttp.ClientSession | None = field(default=None, init=False)

    def writes(self) -> aiohttp.ClientSession:
        if self._writes is None:
            self._writes = self._session(self.write_connections)
        return self._writes

    def reads(self) -> aiohttp.ClientSession:
        if self._reads is None:
            self._reads = self._session(self.read_connections)
        return self._reads

    def _session(self, connections: int) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=connections,
            keepalive_timeout=self.idle_seconds,
            # Brokers check the address orders come from; an IPv6 address that rotates is refused.
            family=socket.AF_INET,
            ttl_dns_cache=DNS_SECONDS,
            socket_factory=self._open,
        )
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=_no_cookies(), trace_configs=[_tracing()], trust_env=False, raise_for_status=False
        )

    def _open(self, address: aiohttp.AddrInfoType) -> socket.socket:
        opened = _socket(address)
        self._opened[opened.fileno()] = time.monotonic()
        return opened

    def is_fresh(self, connection: aiohttp.connector.Connection) -> bool:
        way = connection.transport
        opened = None if way is None else self._opened.get(way.get_extra_info("socket").fileno())
        return opened is not None and time.monotonic() - opened < self.fresh_seconds

    def tell(self, call: Call) -> None:
        """An observer that fails must not cost anybody the answer of an order."""
        if self.on_call is None:
            return
        try:
            self.on_call(call)
        except Exception as error:  # noqa: BLE001 (whatever a measurement meets, the answer it is about goes its way)
            _log.error("call_not_observed", error=repr(error))

    async def close(self) -> None:
        for session in (self._writes, self._reads):
            if session is not None:
                await session.close()


def _no_cookies() -> AbstractCookieJar:
    return aiohttp.DummyCookieJar()


class Transport:
    """One account's way to its broker: base URL, headers and timeout over a shared pool."""

    def __init__(
        self,
        *,
        base_url: str,
        connections: ConnectionPool,
        timeout_seconds: float,
        headers: Mapping[str, str] | None = None,
        account_id: str = "",
    ) -> None:
        self._account_id = account_id
        self._base_url = base_url.rstrip("/")
        self._connections = connections
        self._timeout_seconds = timeout_seconds
        self._headers = dict(headers or {})

    async def write(
        self,
        method: str,
        path: str,
        *,
        form: Pairs | None = None,
        json: bytes | None = None,
        query: Pairs = (),
        may_send: MaySend = always,
    ) -> WireResult:
        """One attempt of a request that changes something. Raises nothing but cancellation, after which it is in doubt.

        `json` is a body that is encoded already; a request has a form, such a body, or neither. `may_send` is asked once, when
        a connection is at hand and right before the first byte. The timeout covers everything, waiting for a connection included.
        """
        session = self._connections.writes()
        return await self._observed(session, method, path, body=_body(form, json), query=query, may_send=may_send)

    async def read(self, path: str, *, query: Pairs = ()) -> WireResult:
        """One attempt of a GET."""
        return await self._observed(self._connections.reads(), "GET", path, body=None, query=query, may_send=always)

    async def ask(self, path: str, *, json: bytes) -> WireResult:
        """One attempt of a POST that changes nothing, for brokers whose questions do not fit into an address."""
        return await self._observed(self._connections.reads(), "POST", path, body=_body(None, json), query=(), may_send=always)

    async def _observed(
        self, session: aiohttp.ClientSession, method: str, path: str, *, body: _Body | None, query: Pairs, may_send: MaySend
    ) -> WireResult:
        began = time.perf_counter()
        result = await self._attempt(session, method, path, body=body, query=query, may_send=may_send)
        seconds = time.perf_counter() - began
        status = result.status if isinstance(result, Answered) else None
        why = "" if isinstance(result, Answered) else result.why
        self._connections.tell(Call(self._base_url, self._account_id, method, path, outcome_of(result), status, seconds, why))
        return result

    async def _attempt(
        self, session: aiohttp.ClientSession, method: str, path: str, *, body: _Body | None, query: Pairs, may_send: MaySend
    ) -> WireResult:
        attempt = _Attempt(has_body=body is not None, may_send=may_send)
        asked_at = datetime.now(UTC)
        try:
            async with session.request(
                method,
                self._base_url + path,
                data=body,
                params=list(query),
                headers=self._headers,
                allow_redirects=False,
                timeout=self._timeout(),
                trace_request_ctx=attempt,
            ) as response:
                answered_at = datetime.now(UTC)
                content = await response.read()
                headers = {name.lower(): value for name, value in response.headers.items()}
                self._connections.stated.append(StatedTime(self._base_url, headers.get("date", ""), asked_at, answered_at))
                return Answered(response.status, response.content_type, content, headers)
        # Whatever went wrong, the one question left is whether the server may have heard of it; an exception would not say.
        except Exception as error:  # noqa: BLE001
            return attempt.failure(error)

    def _timeout(self) -> aiohttp.ClientTimeout:
        # By default the library rounds timeouts of five seconds and more up to whole seconds of its clock.
        return aiohttp.ClientTimeout(total=self._timeout_seconds, connect=self._timeout_seconds, ceil_threshold=math.inf)

    async def warm(self, connections: int) -> int:
        """Have up to that many open connections for writes, opening what is missing and replacing what is old; how many there
        are. Never raises for what the network does."""
        connector = self._connections.writes().connector
        if connector is None:
            return 0
        request = aiohttp.ClientRequest("GET", URL(self._base_url), loop=asyncio.get_running_loop())
        # An idle connection is taken at once, without waiting. Holding those until every task has taken its own makes the
        # remaining tasks open new ones; after that nothing is held back from orders.
        all_started = asyncio.Event()

        async def one() -> None:
            connection = await connector.connect(request, traces=[], timeout=self._timeout())
            await all_started.wait()
            if not self._connections.is_fresh(connection):
                connection.close()
                connection = await connector.connect(request, traces=[], timeout=self._timeout())
            connection.release()

        tasks = [asyncio.create_task(one()) for _ in range(min(connections, self._connections.write_connections))]
        await asyncio.sleep(0)
        all_started.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return sum(result is None for result in results)


def _body(form: Pairs | None, json: bytes | None) -> _Body | None:
    if json is not None:
        return aiohttp.BytesPayload(json, content_type="application/json")
    # The library's own form took a quarter of what sending an order costs.
    return aiohttp.BytesPayload(urlencode(form).encode(), content_type="application/x-www-form-urlencoded") if form else None


def _describe(error: Exception) -> str:
    """The failure in words that hold no secret: these errors name hosts and ports, at most."""
    if isinstance(error, _SecondAttempt):
        return "the connection broke before an answer came"
    if isinstance(error, TimeoutError):
        return "timed out"
    return f"{type(error).__name__}: {error}"[:300]
