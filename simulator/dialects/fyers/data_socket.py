"""The market data socket's conversation, as the broker's Python client 3.2.0 holds it."""

import structlog
from aiohttp import WSMsgType, web

from simulator.dialects.fyers import packets
from simulator.dialects.fyers.hub import TOPICS_PER_CONNECTION, Hub, Socket
from simulator.dialects.fyers.packets import BadFrame, Request
from simulator.dialects.fyers.tokens import Doorman

ACKNOWLEDGE_EVERY = 50
"""Data frames after which a client is to acknowledge."""
_SYMBOL_LIMIT = 51001
_LARGEST_MESSAGE = 1024 * 1024
_log = structlog.get_logger(__name__)


class DataSocket:
    """Accepts connections and obeys their frames. The key comes with the first frame, not with the handshake."""

    def __init__(self, hub: Hub, doorman: Doorman) -> None:
        self._hub = hub
        self._doorman = doorman

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        websocket = web.WebSocketResponse(compress=False, max_msg_size=_LARGEST_MESSAGE, autoping=False)
        await websocket.prepare(request)
        transport = request.transport
        if transport is None:
            return websocket
        socket = Socket(transport, "")
        try:
            await self._serve(websocket, socket)
        finally:
            self._hub.remove(socket)
        return websocket

    async def _serve(self, websocket: web.WebSocketResponse, socket: Socket) -> None:
        async for incoming in websocket:
            if incoming.type is WSMsgType.PING and not self._hub.is_mute(socket.api_key, heartbeat=True):
                await websocket.pong(incoming.data)
            elif incoming.type is WSMsgType.BINARY:
                try:
                    self._obey(socket, packets.read_request(incoming.data))
                except BadFrame as error:
                    _log.warning("bad_frame", account=socket.api_key, reason=str(error))

    def _obey(self, socket: Socket, request: Request) -> None:
        if request.kind == packets.AUTH:
            self._authenticate(socket, request)
        elif request.kind == packets.PING:
            return
        elif not socket.api_key:
            self._hub.send(socket, packets.reply(request.kind, accepted=False))
        else:
            self._obey_known(socket, request)

    def _authenticate(self, socket: Socket, request: Request) -> None:
        account = self._doorman.by_hsm_key(request.fields.get(1, b"").decode("ascii", "replace"))
        if account is not None and not socket.api_key:
            socket.api_key = account.api_key
            self._hub.add(socket)
        answer = packets.auth_reply(accepted=account is not None, acknowledge_every=ACKNOWLEDGE_EVERY)
        self._hub.send(socket, answer)

    def _obey_known(self, socket: Socket, request: Request) -> None:
        match request.kind:
            case packets.SUBSCRIBE:
                self._subscribe(socket, request.topics())
            case packets.UNSUBSCRIBE:
                self._hub.unsubscribe(socket, request.topics())
                self._hub.send(socket, packets.reply(request.kind))
            case packets.MODE:
                socket.is_lite = request.fields.get(2) == bytes([packets.LITE])
                self._hub.send(socket, packets.reply(request.kind))
            case packets.PAUSE | packets.RESUME:
                socket.paused = request.kind == packets.PAUSE
                self._hub.send(socket, packets.reply(request.kind))
            case packets.ACKNOWLEDGE:
                socket.acknowledged = int.from_bytes(request.fields.get(1, b""), "big")

    def _subscribe(self, socket: Socket, topics: list[str]) -> None:
        if len(socket.topics.keys() | set(topics)) > TOPICS_PER_CONNECTION:
            text = f"More than {TOPICS_PER_CONNECTION} symbols on one connection"
            self._hub.send(socket, packets.words(_SYMBOL_LIMIT, text, about=packets.SUBSCRIBE))
            return
        self._hub.send(socket, packets.reply(packets.SUBSCRIBE))
        self._hub.subscribe(socket, topics)
