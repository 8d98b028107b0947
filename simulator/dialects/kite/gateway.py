"""What every endpoint does around its handler: arrival, authentication, rate limit, faults, envelope, log."""

import time
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from simulator.clock import now_ns
from simulator.dialects.kite.call import Call, read_fields
from simulator.dialects.kite.envelope import KiteError, Reply, failure, refusal_error, token_error, too_many_requests
from simulator.dialects.kite.faulty import Faulty
from simulator.dialects.kite.rates import RateLimiter
from simulator.exchange.accounts import Account
from simulator.exchange.orders import Origin
from simulator.exchange.refusals import Refusal
from simulator.faults import WRITES, FaultBook
from simulator.log import ExchangeLog
from simulator.registry import Registry

Handler = Callable[[Call], Reply]
_log = structlog.get_logger(__name__)


class Gateway:
    """Wraps handlers into endpoints."""

    def __init__(
        self, *, registry: Registry, faults: FaultBook, log: ExchangeLog, rate_limits: str, limiter: RateLimiter | None = None
    ) -> None:
        self._registry = registry
        self._faults = faults
        self._log = log
        self._rate_limits = rate_limits
        self._limiter = limiter or RateLimiter()
        self._faulty = Faulty()

    def close(self) -> None:
        """Give up delayed work."""
        self._faulty.close()

    def endpoint(
        self, kind: str, handler: Handler, *, limits: tuple[str, ...] = ("other",), open_to_all: bool = False
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """An aiohttp handler. `kind` names it for faults; `limits` are the rate windows it counts against."""

        async def serve(request: web.Request) -> web.StreamResponse:
            arrived_ns, monotonic_ns = now_ns(), time.monotonic_ns()
            body = await request.read() if request.can_read_body else b""
            origin = Origin(arrived_ns, monotonic_ns)
            call = Call(request, body, {}, origin)
            try:
                call.fields = read_fields(request, body)
                call.known_account = self._authenticate(request)
                if call.known_account is None and not open_to_all:
                    raise token_error()
                self._limit(call.known_account, limits)
            except KiteError as error:
                call.origin = Origin(arrived_ns, monotonic_ns, call.fields)
                self._note_refusal(kind, call, error)
                return failure(error).to_response(request)
            return await self._serve(kind, handler, call)

        return serve

    async def _serve(self, kind: str, handler: Handler, call: Call) -> web.StreamResponse:
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

        answer = await self._faulty.answer(transport, call.request, act_once)
        if not acted and transport.kind != "accept_late" and kind in WRITES:
            self._log_refused(kind, call, "not accepted")
        return answer

    def _act(self, kind: str, handler: Handler, call: Call) -> Reply:
        try:
            return handler(call)
        except KiteError as error:
            self._note_refusal(kind, call, error)
            return failure(error)
        except Refusal as refusal:
            refused = refusal_error(refusal)
            self._note_refusal(kind, call, refused)
            return failure(refused)
        except Exception:  # noqa: BLE001 - the outermost edge: a defect here is logged and answered as the broker would
            _log.exception("handler_failed", endpoint=kind)
            return failure(KiteError(500, "GeneralException", "Something went wrong in the simulator; see its output."))

    def _authenticate(self, request: web.Request) -> Account | None:
        """`Authorization: token api_key:access_token`."""
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        api_key, _, access_token = credentials.strip().partition(":")
        if scheme.lower() != "token" or not access_token:
            return None
        return self._registry.authenticate(api_key, access_token)

    def _limit(self, account: Account | None, limits: tuple[str, ...]) -> None:
        if account is not None and not self._limiter.allow(account.api_key, limits, account.rate_limits or self._rate_limits):
            raise too_many_requests()

    def _note_refusal(self, kind: str, call: Call, error: KiteError) -> None:
        if kind in WRITES:
            self._log_refused(kind, call, f"{error.status} {error.error_type}: {error.message}")

    def _log_refused(self, kind: str, call: Call, outcome: str) -> None:
        account = call.known_account.api_key if call.known_account else None
        order_id = call.request.match_info.get("order_id")
        self._log.refused(kind, account=account, origin=call.origin, order_id=order_id, outcome=outcome)
