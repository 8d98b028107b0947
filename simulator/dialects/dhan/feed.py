"""The sockets' conversations (DhanHQ v2 documentation, "Live market feed", "Live order update")."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import WSMessage, WSMsgType, web

from simulator.dialects.dhan.hub import Hub, Socket
from simulator.dialects.dhan.packets import FULL, QUOTE, TICKER, disconnect
from simulator.dialects.dhan.segments import SecurityIds
from simulator.dialects.dhan.sessions import Sessions
from simulator.exchange.market import Market

CONNECTIONS = 5
INSTRUMENTS_PER_CONNECTION = 5_000
INSTRUMENTS_PER_MESSAGE = 100
WRONG_TOKEN = 808
_SUBSCRIBE = {15: TICKER, 17: QUOTE, 21: FULL}
_UNSUBSCRIBE = (16, 18, 22)
_DISCONNECT = 12
_LOGIN = 42
_LARGEST_MESSAGE = 1024 * 1024
_POLICY = 1008
_PATIENCE_SECONDS = 1.0


class Feed:
    """Accepts connections and obeys their messages. Both sockets live at one address here: the market feed's clients put their
    token into it, the order updates' clients send theirs as the first message."""

    def __init__(self, hub: Hub, sessions: Sessions, ids: SecurityIds) -> None:
        self._hub = hub
        self._sessions = sessions
        self._ids = ids

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Serve whichever of the two the client asks for."""
        websocket = web.WebSocketResponse(compress=False, max_msg_size=_LARGEST_MESSAGE, autoping=False)
        await websocket.prepare(request)
        if "token" in request.query:
            await self._serve_prices(websocket, request)
        else:
            await self._serve_orders(websocket, request)
        return websocket

    async def _serve_prices(self, websocket: web.WebSocketResponse, request: web.Request) -> None:
        account, transport = self._sessions.of_token(request.query["token"]), request.transport
        if account is None or account.user_id != request.query.get("clientId") or transport is None:
            await _turn_away(websocket)
            return
        socket = Socket(transport, account.api_key)
        self._hub.add_feed(socket, most=CONNECTIONS)
        try:
            await self._talk(websocket, socket.api_key, lambda text: self._obey(socket, text))
        finally:
            self._hub.remove(socket)

    async def _serve_orders(self, websocket: web.WebSocketResponse, request: web.Request) -> None:
        transport = request.transport
        first = await websocket.receive()
        account_key = self._introduced(first.data) if first.type is WSMsgType.TEXT else None
        if account_key is None or transport is None:
            await websocket.close(code=_POLICY)
            return
        socket = Socket(transport, account_key)
        self._hub.add_listener(socket)
        try:
            await self._talk(websocket, account_key, lambda _: True)
        finally:
            self._hub.remove(socket)

    def _introduced(self, text: str) -> str | None:
        """Who a login message is from, if its token lives."""
        login = _object(text).get("LoginReq")
        if not isinstance(login, dict) or login.get("MsgCode") != _LOGIN:
            return None
        account = self._sessions.of_token(str(login.get("Token", "")))
        return account.api_key if account is not None and account.user_id == login.get("ClientId") else None

    async def _talk(self, websocket: web.WebSocketResponse, api_key: str, obey: Callable[[str], bool]) -> None:
        async for incoming in websocket:
            if incoming.type is WSMsgType.PING:
                await self._pong(websocket, api_key, incoming)
            elif incoming.type is WSMsgType.TEXT and not obey(incoming.data):
                await websocket.close()

    async def _pong(self, websocket: web.WebSocketResponse, api_key: str, ping: WSMessage) -> None:
        if self._hub.pongs(api_key):
            await websocket.pong(ping.data)

    def _obey(self, socket: Socket, text: str) -> bool:
        """Do as told; answers whether to go on. What cannot be understood is ignored, as the broker does."""
        message = _object(text)
        code = message.get("RequestCode")
        if code == _DISCONNECT:
            return False
        markets = self._markets(message)
        if (
            code in _SUBSCRIBE
            and len(socket.modes.keys() | {one.instrument.key for one in markets}) <= INSTRUMENTS_PER_CONNECTION
        ):
            self._hub.subscribe(socket, _SUBSCRIBE[code], markets)
        elif code in _UNSUBSCRIBE:
            self._hub.unsubscribe(socket, [market.instrument.key for market in markets])
        return True

    def _markets(self, message: dict[str, Any]) -> list[Market]:
        listed = message.get("InstrumentList")
        if not isinstance(listed, list):
            return []
        found = [
            self._ids.market(str(one.get("ExchangeSegment")), one.get("SecurityId"))
            for one in listed[:INSTRUMENTS_PER_MESSAGE]
            if isinstance(one, dict)
        ]
        return [market for market in found if market is not None]


async def _turn_away(websocket: web.WebSocketResponse) -> None:
    """Say why and close, once the client has spoken: its first message must not meet a closed door, or it never reads why."""
    await websocket.send_bytes(disconnect(WRONG_TOKEN))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await websocket.receive()
    await websocket.close()


def _object(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
