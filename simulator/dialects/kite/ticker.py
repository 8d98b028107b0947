"""The ticker socket's conversation (Kite Connect v3 documentation, "WebSocket streaming")."""

from typing import Any

import orjson
from aiohttp import WSMsgType, web

from simulator.dialects.kite.envelope import KiteError, failure, token_error
from simulator.dialects.kite.hub import Hub, Socket
from simulator.dialects.kite.packets import MODES
from simulator.registry import Registry

INSTRUMENTS_PER_CONNECTION = 3_000
_LARGEST_MESSAGE = 1024 * 1024
_DEFAULT_MODE = "quote"


class BadMessage(ValueError):
    """What the client sent cannot be understood; the text says why."""


class Ticker:
    """Accepts connections and obeys their messages."""

    def __init__(self, hub: Hub, registry: Registry, *, connections: int, instruments: int) -> None:
        self._hub = hub
        self._registry = registry
        self._connections = connections
        self._instruments = instruments

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Handshake: 403 for a bad token, 429 for too many connections; then serve the socket."""
        api_key = request.query.get("api_key", "")
        account = self._registry.authenticate(api_key, request.query.get("access_token", ""))
        if account is None:
            return failure(token_error()).to_response(request)
        if self._connections and self._hub.connections(api_key) >= self._connections:
            return failure(KiteError(429, "NetworkException", "Too many connections")).to_response(request)
        websocket = web.WebSocketResponse(compress=False, max_msg_size=_LARGEST_MESSAGE)
        await websocket.prepare(request)
        transport = request.transport
        if transport is None:
            return websocket
        socket = Socket(transport, api_key)
        self._hub.add(socket)
        try:
            self._hub.send_text(socket, "instruments_meta", {"count": self._instruments, "etag": f'W/"{self._instruments}"'})
            await self._serve(websocket, socket)
        finally:
            self._hub.remove(socket)
        return websocket

    async def _serve(self, websocket: web.WebSocketResponse, socket: Socket) -> None:
        async for incoming in websocket:
            if incoming.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            try:
                self._obey(socket, incoming.data)
            except BadMessage as error:
                self._hub.send_text(socket, "error", str(error))

    def _obey(self, socket: Socket, raw: str | bytes) -> None:
        action, value = _parse(raw)
        if action == "mode":
            mode, tokens = _mode(value)
        elif action in ("subscribe", "unsubscribe"):
            mode, tokens = None, _tokens(value)
        else:
            raise BadMessage("Unknown action")
        if action == "unsubscribe":
            self._hub.unsubscribe(socket, tokens)
            return
        if len(socket.modes.keys() | set(tokens)) > INSTRUMENTS_PER_CONNECTION:
            raise BadMessage(f"More than {INSTRUMENTS_PER_CONNECTION} instruments on one connection")
        self._hub.set_mode(socket, mode or _DEFAULT_MODE, tokens)


def _parse(raw: str | bytes) -> tuple[str, Any]:
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise BadMessage("Invalid JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("a"), str) or "v" not in message:
        raise BadMessage("A message needs an action `a` and a value `v`")
    return message["a"], message["v"]


def _tokens(value: Any) -> list[int]:
    if not isinstance(value, list) or not all(isinstance(token, int) and not isinstance(token, bool) for token in value):
        raise BadMessage("The value must be a list of instrument tokens")
    return value


def _mode(value: Any) -> tuple[str, list[int]]:
    if not isinstance(value, list) or len(value) != 2 or value[0] not in MODES:
        raise BadMessage("The value must be a mode (ltp, quote or full) and a list of instrument tokens")
    return value[0], _tokens(value[1])
