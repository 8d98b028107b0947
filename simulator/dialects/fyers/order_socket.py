"""The order socket: JSON text, `ping` and `pong` as text, and a wrapper key around each message (the Python client 3.2.0)."""

from asyncio import Transport
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from simulator.dialects.common import sockets as common
from simulator.dialects.common.frames import text_frame
from simulator.dialects.common.sockets import GOING_AWAY
from simulator.dialects.fyers.envelope import FyersError, problem, token_error
from simulator.dialects.fyers.hub import Hub
from simulator.dialects.fyers.tokens import Doorman
from simulator.faults import Fault, FaultBook

NAMES = frozenset({"orders", "trades", "positions", "edis", "pricealerts", "login"})
_SUBSCRIBED = {"code": 1605, "message": "Successfully subscribed", "s": "ok"}
_LARGEST_MESSAGE = 64 * 1024


class Socket(common.Socket):
    """One connection, and what it wants to hear of."""

    __slots__ = ("wanted",)

    def __init__(self, transport: Transport, api_key: str) -> None:
        super().__init__(transport, api_key)
        self.wanted: set[str] = set()


class OrderSocket:
    """Accepts connections, obeys their messages, and tells them of orders."""

    def __init__(self, hub: Hub, doorman: Doorman, faults: FaultBook) -> None:
        self._hub = hub
        self._doorman = doorman
        self.sockets: dict[str, set[Socket]] = {}
        faults.on_cut.append(self._cut)

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Handshake: 403 for a bad token; then serve the socket."""
        account = self._doorman.by_header(request.headers.get("Authorization", ""))
        if account is None:
            return FyersError(403, -16, token_error().message).reply().to_response(request)
        websocket = web.WebSocketResponse(compress=False, max_msg_size=_LARGEST_MESSAGE, autoping=False)
        await websocket.prepare(request)
        transport = request.transport
        if transport is None:
            return websocket
        socket = Socket(transport, account.api_key)
        self.sockets.setdefault(account.api_key, set()).add(socket)
        try:
            await self._serve(websocket, socket)
        finally:
            self._forget(socket)
        return websocket

    def _forget(self, socket: Socket) -> None:
        found = self.sockets.get(socket.api_key)
        if found is not None:
            found.discard(socket)
            if not found:
                del self.sockets[socket.api_key]

    async def _serve(self, websocket: web.WebSocketResponse, socket: Socket) -> None:
        async for incoming in websocket:
            if incoming.type is WSMsgType.PING:
                if not self._hub.is_mute(socket.api_key, heartbeat=True):
                    await websocket.pong(incoming.data)
            elif incoming.type is WSMsgType.TEXT:
                self._obey(socket, incoming.data)

    def _obey(self, socket: Socket, raw: str) -> None:
        if raw == "ping":
            if not self._hub.is_mute(socket.api_key, heartbeat=True):
                socket.write(text_frame(b"pong"))
            return
        try:
            message = orjson.loads(raw)
        except orjson.JSONDecodeError:
            message = None
        names = message.get("SLIST") if isinstance(message, dict) and message.get("T") == "SUB_ORD" else None
        if not isinstance(names, list) or not NAMES.issuperset(map(str, names)):
            self._send(socket, problem(FyersError(400, -50, "Invalid subscription request")))
            return
        if message["SUB_T"] == 1:
            socket.wanted.update(names)
        else:
            socket.wanted.difference_update(names)
        self._send(socket, _SUBSCRIBED)

    def tell(self, api_key: str, name: str, row: dict[str, Any]) -> None:
        """Tell an account's sockets that want to hear of it."""
        for socket in list(self.sockets.get(api_key, ())):
            if name in socket.wanted:
                self._send(socket, {"s": "ok", name: row})

    def _send(self, socket: Socket, message: dict[str, Any]) -> None:
        if not self._hub.is_mute(socket.api_key):
            socket.write(text_frame(orjson.dumps(message)))

    def connections(self, api_key: str | None = None) -> int:
        """How many sockets there are, of one account or of all."""
        if api_key is not None:
            return len(self.sockets.get(api_key, ()))
        return sum(len(found) for found in self.sockets.values())

    def close_account(self, api_key: str) -> None:
        """Close the sockets of an account."""
        for socket in list(self.sockets.get(api_key, ())):
            socket.close(GOING_AWAY)

    def close_all(self) -> None:
        """Close everything, at the end."""
        for api_key in list(self.sockets):
            self.close_account(api_key)

    def _cut(self, fault: Fault) -> None:
        for api_key, sockets in list(self.sockets.items()):
            if fault.account in (None, api_key):
                for socket in list(sockets):
                    socket.abort()
