"""What happens to every request before routing: an id, security headers, a limit on the body, measurements, one log line."""

import re
import time
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storage.ids import new_id
from trading.ports.metrics import Metrics

log = structlog.get_logger()

BODY_LIMIT_BYTES = 64 * 1024
# Files of prices; every other body is a few fields.
LARGE_BODY_LIMIT_BYTES = 16 * 1024 * 1024
_LARGE_BODIES = frozenset({"/api/v1/playground/data"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_QUIET = frozenset({"/health", "/ready", "/metrics", "/api/v1/health", "/api/v1/ready", "/api/v1/metrics"})

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-site",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
}
_STRICT_POLICY = "default-src 'none'; frame-ancestors 'none'"
# The interactive documentation loads its page from the project that makes it.
_DOCUMENTATION = frozenset({"/docs", "/redoc"})
_DOCUMENTATION_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; img-src 'self' data: https:; "
    "style-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com; font-src https:; "
    "worker-src blob:; frame-ancestors 'none'"
)


class BodyLimit:
    """Refuses bodies above 64 KiB, and files of prices above 16 MiB, whether they say so in advance or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = LARGE_BODY_LIMIT_BYTES if scope["path"] in _LARGE_BODIES else BODY_LIMIT_BYTES
        announced = Headers(scope=scope).get("content-length", "0")
        too_large = announced.isdecimal() and (len(announced) > 12 or int(announced) > most)
        received = 0

        async def limited() -> Message:
            nonlocal received
            if too_large:
                raise HTTPException(413)
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise HTTPException(413)
            return message

        await self._app(scope, limited, send)


class Edge:
    """Names the request, hardens the answer, measures and logs it."""

    def __init__(self, app: ASGIApp, *, metrics: Callable[[], Metrics], https: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else new_id("req")
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500

        async def hardened(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._harden(MutableHeaders(scope=message), scope["path"], request_id)
            await send(message)

        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, hardened)
            finally:
                self._record(scope, status, time.perf_counter() - began)

    def _harden(self, headers: MutableHeaders, path: str, request_id: str) -> None:
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("Content-Security-Policy", _DOCUMENTATION_POLICY if path in _DOCUMENTATION else _STRICT_POLICY)
        headers.setdefault("Cache-Control", "no-store")
        headers["X-Request-ID"] = request_id
        if self._https:
            headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_template(scope)
        self._metrics().count("http_requests", method=scope["method"], route=route, status=str(status))
        self._metrics().observe("http_request_seconds", seconds, method=scope["method"], route=route)
        if scope["path"] not in _QUIET:
            log.info("request", method=scope["method"], route=route, status=status, milliseconds=round(seconds * 1000, 1))


def route_template(scope: Scope) -> str:
    """`/api/v1/strategy/{strategy_id}`, so that ids do not become metric labels."""
    return str(getattr(scope.get("route"), "path", "unmatched"))
