"""The only module that sends requests: one attempt per call, over a bounded pool of warm connections.

A request is complete before a connection is asked for, and leaves in one piece right after the last-moment check has said yes: so
"was the first byte written?" has a certain answer. Nothing is ever sent twice, and a redirect is an answer. Tests against raw
servers hold this in place.
"""

import asyncio
import gzip
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit

from brokers.answers import Answered, NoAnswer, NotSent, StatedTime, WireResult
from brokers.calls import Call, outcome_of
from brokers.connections import ConnectionPool, Lane, Origin
from brokers.http_connection import ConnectionBroken, Message
from trading.ports.broker import MaySend

Pairs = Sequence[tuple[str, str]]

ALWAYS_SENT = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "algo-trading"}
# What may stand in an address as it is: an instrument's name, such as NSE:SBIN-EQ, is sent as brokers document it.
_PLAIN_IN_PATHS = "/%:@!$&'()*+,;=~"
_PLAIN_IN_QUERIES = "/:@!$'()*,?"
# Unpacking more than this takes longer than an order should wait for the event loop (bytes, packed).
_LARGE_BODY = 256 * 1024


class _TooLate(Exception):
    """The caller's last-moment check said no."""


@dataclass(slots=True)
class _Attempt:
    """One request's way to the wire. `began` turns true right before the first byte is written, never later."""

    may_send: MaySend
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


@dataclass(frozen=True, slots=True)
class _Body:
    content_type: str
    content: bytes


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
        parts = urlsplit(self._base_url)
        is_https = parts.scheme == "https"
        self._origin = Origin(parts.hostname or "", parts.port or (443 if is_https else 80), is_https)
        self._base_path = parts.path
        self._connections = connections
        self._timeout_seconds = timeout_seconds
        self._headers = {"Host": parts.netloc.rpartition("@")[2], **ALWAYS_SENT, **(headers or {})}

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
        body = _body(form, json)
        return await self._observed(self._connections.writes, method, path, body=body, query=query, may_send=may_send)

    async def read(self, path: str, *, query: Pairs = ()) -> WireResult:
        """One attempt of a GET."""
        return await self._observed(self._connections.reads, "GET", path, body=None, query=query, may_send=always)

    async def ask(self, path: str, *, json: bytes) -> WireResult:
        """One attempt of a POST that changes nothing, for brokers whose questions do not fit into an address."""
        return await self._observed(self._connections.reads, "POST", path, body=_body(None, json), query=(), may_send=always)

    async def _observed(
        self, lane: Lane, method: str, path: str, *, body: _Body | None, query: Pairs, may_send: MaySend
    ) -> WireResult:
        began = time.perf_counter()
        result = await self._attempt(lane, method, path, body=body, query=query, may_send=may_send)
        seconds = time.perf_counter() - began
        status = result.status if isinstance(result, Answered) else None
        why = "" if isinstance(result, Answered) else result.why
        self._connections.tell(Call(self._base_url, self._account_id, method, path, outcome_of(result), status, seconds, why))
        return result

    async def _attempt(
        self, lane: Lane, method: str, path: str, *, body: _Body | None, query: Pairs, may_send: MaySend
    ) -> WireResult:
        attempt = _Attempt(may_send)
        asked_at = datetime.now(UTC)
        try:
            request = self._request(method, path, body, query)
            async with asyncio.timeout(self._timeout_seconds), lane.connection(self._origin) as connection:
                attempt.begin()
                message = await connection.send(request)
            answered_at = datetime.now(UTC)
            self._connections.stated.append(StatedTime(self._base_url, message.headers.get("date", ""), asked_at, answered_at))
            return Answered(message.status, _content_type(message), await _unpacked(message), message.headers)
        # Whatever went wrong, the one question left is whether the server may have heard of it; an exception would not say.
        except Exception as error:  # noqa: BLE001
            return attempt.failure(error)

    def _request(self, method: str, path: str, body: _Body | None, query: Pairs) -> bytes:
        """The whole request. Raises ValueError, without repeating it, for a header that would end its line."""
        target = quote(self._base_path + path, safe=_PLAIN_IN_PATHS) or "/"
        if query:
            target += "?" + urlencode(query, safe=_PLAIN_IN_QUERIES)
        headers = self._headers
        if body is not None:
            headers = headers | {"Content-Type": body.content_type, "Content-Length": str(len(body.content))}
        elif method != "GET":
            headers = headers | {"Content-Length": "0"}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        if any("\r" in line or "\n" in line or "\0" in line for line in lines):
            raise ValueError("a header has a character that no header may have")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if body is None else body.content)

    async def warm(self, connections: int) -> int:
        """Have up to that many open connections for writes, opening what is missing and replacing what is old; how many there
        are. Never raises for what the network does."""
        return await self._connections.writes.warm(self._origin, connections, timeout_seconds=self._timeout_seconds)


def _body(form: Pairs | None, json: bytes | None) -> _Body | None:
    if json is not None:
        return _Body("application/json", json)
    return _Body("application/x-www-form-urlencoded", urlencode(form).encode()) if form else None


def _content_type(message: Message) -> str:
    """Without its parameters; RFC 9110 leaves a body without one to its reader."""
    return message.headers.get("content-type", "").partition(";")[0].strip().lower() or "application/octet-stream"


async def _unpacked(message: Message) -> bytes:
    """The body as its server meant it. Raises what the libraries raise for one that is damaged."""
    body, coding = bytes(message.body), message.headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity") or not body:
        return body
    unpack = {"gzip": gzip.decompress, "x-gzip": gzip.decompress, "deflate": _inflate}.get(coding)
    if unpack is None:
        raise ConnectionBroken(f"an answer in a coding nobody asked for: {coding[:20]!r}")
    return unpack(body) if len(body) < _LARGE_BODY else await asyncio.to_thread(unpack, body)


def _inflate(body: bytes) -> bytes:
    """With zlib's frame, as RFC 9110 wants it, or without, as some servers send it."""
    try:
        return zlib.decompress(body)
    except zlib.error:
        return zlib.decompress(body, wbits=-zlib.MAX_WBITS)


def _describe(error: Exception) -> str:
    """The failure in words that hold no secret: these errors name hosts and ports, at most."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ConnectionBroken):
        return str(error)
    return f"{type(error).__name__}: {error}"[:300]
