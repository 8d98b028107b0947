"""Both sockets' conversations (SmartAPI documentation, "WebSocket Streaming 2.0", "WebSocket Order Status")."""

from typing import Any

import orjson
from aiohttp import WSMsgType, web

from simulator.dialects.angel_one.call import NAME, authenticated
from simulator.dialects.angel_one.hub import PONG, Hub, Socket, Subscription
from simulator.dialects.angel_one.packets import DEPTH, LTP, QUOTE, SNAP_QUOTE
from simulator.dialects.angel_one.session import feed_token, is_client_code
from simulator.dialects.angel_one.tokens import EXCHANGE_TYPES
from simulator.dialects.common.frames import text_frame
from simulator.exchange.accounts import Account
from simulator.registry import Registry

SUBSCRIPTIONS_PER_CONNECTION = 1_000
_DEPTH_TOKENS = 50
_LARGEST_MESSAGE = 1024 * 1024
_MODES = (LTP, QUOTE, SNAP_QUOTE, DEPTH)
_SUBSCRIBE, _UNSUBSCRIBE = 1, 0


class BadMessage(ValueError):
    """What the client sent cannot be used: an error code, and the text says why."""

    def __init__(self, code: str, message: str, correlation_id: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.correlation_id = correlation_id


class Streaming:
    """Accepts connections and obeys their messages."""

    def __init__(self, hub: Hub, registry: Registry, *, connections: int) -> None:
        self._hub = hub
        self._registry = registry
        self._connections = connections

    async def feed(self, request: web.Request) -> web.StreamResponse:
        """`/smart-stream`."""
        return await self._connect(request, for_orders=False)

    async def orders(self, request: web.Request) -> web.StreamResponse:
        """`/smart-order-update`."""
        return await self._connect(request, for_orders=True)

    async def _connect(self, request: web.Request, *, for_orders: bool) -> web.StreamResponse:
        account = self._authenticate(request, for_orders=for_orders)
        if account is None:
            return _refused(401, "Invalid Token" if for_orders else "Invalid Feed Token")
        if self._connections and self._hub.connections(account.api_key, for_orders=for_orders) >= self._connections:
            return _refused(429, "Connection Limit Exceeded")
        # Pings are answered here, where a muted account gets no answer.
        websocket = web.WebSocketResponse(compress=False, max_msg_size=_LARGEST_MESSAGE, autoping=False)
        await websocket.prepare(request)
        if request.transport is None:
            return websocket
        socket = Socket(request.transport, account.api_key, for_orders=for_orders)
        self._hub.add(socket)
        try:
            if for_orders:
                self._hub.send(socket, text_frame(orjson.dumps(order_message(account.user_id, "AB00", {}))))
            await self._serve(websocket, socket)
        finally:
            self._hub.remove(socket)
        return websocket

    def _authenticate(self, request: web.Request, *, for_orders: bool) -> Account | None:
        """By four headers; a browser's feed by three fields of the query. Order updates need the token alone."""
        headers, query = request.headers, request.query
        authorization = headers.get("Authorization", "")
        if not authorization and not for_orders:
            return self._by_query(query.get("clientCode", ""), query.get("feedToken", ""), query.get("apiKey", ""))
        account = authenticated(self._registry, authorization, headers.get("x-api-key", ""))
        if account is None or for_orders:
            return account
        known = is_client_code(account, headers.get("x-client-code", ""))
        return account if known and _is_feed_token(account, headers.get("x-feed-token", "")) else None

    def _by_query(self, client_code: str, given: str, api_key: str) -> Account | None:
        account = self._registry.find(api_key)
        if account is None or self._registry.living_token(account, NAME) is None:
            return None
        return account if is_client_code(account, client_code) and _is_feed_token(account, given) else None

    async def _serve(self, websocket: web.WebSocketResponse, socket: Socket) -> None:
        async for incoming in websocket:
            if incoming.type is WSMsgType.PING:
                if not self._hub.is_mute(socket.api_key, heartbeats=True):
                    await websocket.pong(incoming.data)
            elif incoming.type is WSMsgType.TEXT and incoming.data == "ping":
                if not self._hub.is_mute(socket.api_key, heartbeats=True):
                    socket.write(PONG)
            elif incoming.type in (WSMsgType.TEXT, WSMsgType.BINARY) and not socket.for_orders:
                try:
                    self._obey(socket, incoming.data)
                except BadMessage as error:
                    message = {"correlationID": error.correlation_id, "errorCode": error.code, "errorMessage": str(error)}
                    self._hub.send(socket, text_frame(orjson.dumps(message)))

    def _obey(self, socket: Socket, raw: str | bytes) -> None:
        action, subscriptions, correlation_id = _parse(raw)
        if action == _UNSUBSCRIBE:
            self._hub.unsubscribe(socket, subscriptions)
            return
        wanted = socket.subscriptions | set(subscriptions)
        deep = sum(1 for mode, _ in wanted if mode == DEPTH)
        if len(wanted) > SUBSCRIPTIONS_PER_CONNECTION or deep > _DEPTH_TOKENS:
            raise BadMessage("E1002", "Invalid Request. Subscription Limit Exceeded", correlation_id)
        self._hub.subscribe(socket, subscriptions)


def order_message(user_id: str, code: str, row: dict[str, Any]) -> dict[str, Any]:
    """The envelope of an order update."""
    return {"user-id": user_id, "status-code": "200", "order-status": code, "error-message": "", "orderData": row}


def _is_feed_token(account: Account, given: str) -> bool:
    return account.access_token is not None and given == feed_token(account.access_token)


def _refused(status: int, message: str) -> web.Response:
    return web.Response(status=status, text=message, headers={"x-error-message": message})


def _parse(raw: str | bytes) -> tuple[int, list[Subscription], str]:
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise _bad("") from None
    if not isinstance(message, dict):
        raise _bad("")
    correlation_id = str(message.get("correlationID") or "")
    action, params = message.get("action"), message.get("params")
    if action not in (_SUBSCRIBE, _UNSUBSCRIBE) or not isinstance(params, dict) or params.get("mode") not in _MODES:
        raise _bad(correlation_id)
    listed = params.get("tokenList")
    if not isinstance(listed, list):
        raise _bad(correlation_id)
    return action, [(params["mode"], key) for entry in listed for key in _keys(entry, correlation_id)], correlation_id


def _keys(entry: Any, correlation_id: str) -> list[tuple[int, str]]:
    if not isinstance(entry, dict) or entry.get("exchangeType") not in EXCHANGE_TYPES.values():
        raise _bad(correlation_id)
    tokens = entry.get("tokens")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise _bad(correlation_id)
    return [(entry["exchangeType"], token) for token in tokens]


def _bad(correlation_id: str) -> BadMessage:
    return BadMessage("E1001", "Invalid Request Payload.", correlation_id)
