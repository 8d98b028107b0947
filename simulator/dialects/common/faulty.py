"""Carrying out transport faults: what goes wrong between the client and an otherwise healthy broker."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from simulator.dialects.common.reply import Reply
from simulator.dialects.common.words import Words
from simulator.faults import Fault

Act = Callable[[], Reply]
BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
_HANG_CHECK_SECONDS = 0.05


class Faulty:
    """Answers one request the wrong way. `act` lets the request take effect and makes its true answer."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._later: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Give up what was to happen later."""
        for task in self._later:
            task.cancel()

    async def answer(self, kind: str, fault: Fault, request: web.Request, act: Act) -> web.StreamResponse:
        """Let the fault happen to a request of that kind."""
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
                return self._words.wrong_answer(kind, fault).to_response(request)
            case _:
                if fault.settings.get("accepted"):
                    act()
                return self._wrong_answer(kind, fault).to_response(request)

    def _wrong_answer(self, kind: str, fault: Fault) -> Reply:
        match fault.kind:
            case "status_502_html":
                return Reply(BAD_GATEWAY, status=502, content_type="text/html")
            case "redirect":
                target = fault.settings.get("to", "/moved")
                return Reply(b"", status=302, content_type="text/html", headers={"Location": target})
            case _:
                return self._words.wrong_answer(kind, fault)

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
