"""What every endpoint does around its handler: arrival, authentication, rate limit, faults, log."""

import time
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

import structlog
from aiohttp import web

from simulator.clock import now_ns
from simulator.dialects.common.call import Call, NotLoggedIn
from simulator.dialects.common.faulty import Faulty
from simulator.dialects.common.rates import RateLimiter
from simulator.dialects.common.reply import Reply, WireError
from simulator.dialects.common.words import Words
from simulator.exchange.accounts import Account
from simulator.exchange.orders import Origin
from simulator.exchange.refusals import Refusal
from simulator.faults import WRITES, FaultBook
from simulator.log import ExchangeLog

C = TypeVar("C", bound=Call)
Handler = Callable[[C], Reply]
_log = structlog.get_logger(__name__)


class Reader(Protocol[C]):
    """How a dialect reads a request."""

    def call(self, request: web.Request, body: bytes, origin: Origin) -> C:
        """The request without its fields: nothing that can go wrong."""

    def read_fields(self, kind: str, call: C) -> dict[str, str]:
        """What faults and the log may know of it (see `Call`). Raises WireError."""

    def authenticate(self, call: C) -> Account | None:
        """The account whose living token the request carries."""


class Gateway(Generic[C]):
    """Wraps handlers into endpoints."""

    def __init__(
        self,
        *,
        reader: Reader[C],
        words: Words,
        limiter: RateLimiter,
        faults: FaultBook,
        log: ExchangeLog,
        rate_limits: str,
    ) -> None:
        self._reader = reader
        self._words = words
        self._limiter = limiter
        self._faults = faults
        self._log = log
        self._rate_limits = rate_limits
        self._faulty = Faulty(words)

    def close(self) -> None:
        """Give up delayed work."""
        self._faulty.close()

    def endpoint(
        self, kind: str, handler: Handler[C], *, limits: tuple[str, ...] = ("other",), open_to_all: bool = False
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """An aiohttp handler. `kind` names it for faults; `limits` are the rate windows it counts against."""

        async def serve(request: web.Request) -> web.StreamResponse:
            arrived_ns, monotonic_ns = now_ns(), time.monotonic_ns()
            body = await request.read() if request.can_read_body else b""
            call = self._reader.call(request, body, Origin(arrived_ns, monotonic_ns))
            try:
                call.fields = self._reader.read_fields(kind, call)
                call.known_account = self._reader.authenticate(call)
                if call.known_account is None and not open_to_all:
                    raise self._words.not_logged_in()
                self._limit(kind, call.known_account, limits)
            except WireError as error:
                call.origin = Origin(arrived_ns, monotonic_ns, call.fields)
                self._note_refusal(kind, call, error)
                return error.reply().to_response(request)
            return await self._serve(kind, handler, call)

        return serve

    async def _serve(self, kind: str, handler: Handler[C], call: C) -> web.StreamResponse:
        def act() -> Reply:
            return self._act(kind, handler, call)

        call.origin = Origin(call.origin.arrived_ns, call.origin.monotonic_ns, call.fields)
        if not self._faults.faults:
            return act().to_response(call.request)
        scope = call.known_account.api_key if call.known_account else call.fields.get("api_key")
        call.behaviour = self._faults.behaviour(kind, scope, call.fields)
        transport = self._faults.transport(kind, scope, call.fields)
        struck = "+".join(fault.kind for fault in (transport, call.behaviour) if fault is not None)
        call.origin = Origin(call.origin.arrived_ns, call.origin.monotonic_ns, call.fields, struck or None)
        if transport is None:
            return act().to_response(call.request)
        acted = False

        def act_once() -> Reply:
            nonlocal acted
            acted = True
            return act()

        answer = await self._faulty.answer(kind, transport, call.request, act_once)
        if not acted and transport.kind != "accept_late" and kind in WRITES:
            self._log_refused(kind, call, "not accepted")
        return answer

    def _act(self, kind: str, handler: Handler[C], call: C) -> Reply:
        try:
            return handler(call)
        except NotLoggedIn:
            return self._refuse(kind, call, self._words.not_logged_in())
        except WireError as error:
            return self._refuse(kind, call, error)
        except Refusal as refusal:
            return self._refuse(kind, call, self._words.refused(kind, refusal))
        except Exception:  # noqa: BLE001 - the outermost edge: a defect here is logged and answered as the broker would
            _log.exception("handler_failed", endpoint=kind)
            return self._words.broken().reply()

    def _refuse(self, kind: str, call: C, error: WireError) -> Reply:
        self._note_refusal(kind, call, error)
        return error.reply()

    def _limit(self, kind: str, account: Account | None, limits: tuple[str, ...]) -> None:
        if account is not None and not self._limiter.allow(account.api_key, limits, account.rate_limits or self._rate_limits):
            raise self._words.too_many_requests(kind)

    def _note_refusal(self, kind: str, call: C, error: WireError) -> None:
        if kind in WRITES:
            self._log_refused(kind, call, error.words)

    def _log_refused(self, kind: str, call: C, outcome: str) -> None:
        account = call.known_account.api_key if call.known_account else None
        order_id = call.fields.get("order_id") or call.request.match_info.get("order_id")
        self._log.refused(kind, account=account, origin=call.origin, order_id=order_id, outcome=outcome)
