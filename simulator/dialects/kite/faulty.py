"""Carrying out transport faults: what goes wrong between the client and an otherwise healthy broker."""

import asyncio
from collections.abc import Callable

import orjson
from aiohttp import web

from simulator.dialects.kite.envelope import KiteError, Reply, failure, token_error, too_many_requests
from simulator.faults import Fault

Act = Callable[[], Reply]
TIMED_OUT = "Order request timed out. Please check the order book and confirm before placing again."
BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
_HANG_CHECK_SECONDS = 0.05


class Faulty:
    """Answers one request the wrong way. `act` lets the request take effect and makes its true answer."""

    def __init__(self) -> None:
        self._later: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Give up what was to happen later."""
        for task in self._later:
            task.cancel()

    async def answer(self, fault: Fault, request: web.Request, act: Act) -> web.StreamResponse:
        """Let the fault happen."""
        match fault.kind:
            case "drop_before":
                return hang_up(request, fault)
            case "accept_then_drop":
                act()
                return hang_up(request, fault)
            case "accept_late":
                return await self._accept_late(fault, request, act)
            case "slow":
                return await _slow(fault, request, act)
            case "half_json":
                reply = act()
                return Reply(reply.body[: len(reply.body) // 2], status=reply.status).to_response(request)
            case "timeout_400":
                act()
                return failure(KiteError(400, "OrderException", TIMED_OUT)).to_response(request)
            case _:
                if fault.settings.get("accepted"):
                    act()
                return _wrong_answer(fault).to_response(request)

    async def _accept_late(self, fault: Fault, request: web.Request, act: Act) -> web.StreamResponse:
        async def later() -> None:
            await asyncio.sleep(fault.delay_ms / 1000)
            act()

        task = asyncio.get_running_loop().create_task(later())
        self._later.add(task)
        task.add_done_callback(self._later.discard)
        if fault.settings.get("answer") == "hang":
            await _until_client_leaves(request)
        return hang_up(request, fault)


async def _until_client_leaves(request: web.Request) -> None:
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110 - aiohttp offers no event
        await asyncio.sleep(_HANG_CHECK_SECONDS)


def hang_up(request: web.Request, fault: Fault) -> web.StreamResponse:
    """Close the connection with no answer: with FIN, or with RST if the fault says `"how":"reset"`."""
    if request.transport is not None:
        if fault.settings.get("how") == "reset":
            request.transport.abort()
        else:
            request.transport.close()
    return web.Response()


async def _slow(fault: Fault, request: web.Request, act: Act) -> web.StreamResponse:
    if fault.settings.get("when") == "before":
        await asyncio.sleep(fault.delay_ms / 1000)
        return act().to_response(request)
    reply = act()
    await asyncio.sleep(fault.delay_ms / 1000)
    return reply.to_response(request)


def _wrong_answer(fault: Fault) -> Reply:
    message = fault.settings.get("message")
    match fault.kind:
        case "status_500":
            return failure(KiteError(500, "GeneralException", message or "Something went wrong. Try again later."))
        case "status_502_html":
            return Reply(BAD_GATEWAY, status=502, content_type="text/html")
        case "status_503":
            return failure(KiteError(503, "NetworkException", message or "The order management system is not reachable."))
        case "status_429":
            return failure(too_many_requests())
        case "redirect":
            return Reply(b"", status=302, content_type="text/html", headers={"Location": fault.settings.get("to", "/moved")})
        case "ok_with_error_inside":
            error_type = fault.settings.get("error_type", "GeneralException")
            inside = {"status": "error", "message": message or "Something went wrong.", "error_type": error_type, "data": None}
            return Reply(orjson.dumps(inside))
        case "token_expired":
            return failure(token_error())
        case "ip_refused":
            text = message or "IP (127.0.0.1) is not allowed to place orders for this app."
            return failure(KiteError(403, "PermissionException", text))
        case "reject_sync":
            status, error_type = int(fault.settings.get("status", 400)), fault.settings.get("error_type", "OrderException")
            return failure(KiteError(status, error_type, message or "The order was refused."))
    raise AssertionError(f"no answer for the fault {fault.kind}")
