"""The ticker's sockets: who subscribed to what, and the fast way of telling them."""

import time
from asyncio import Transport
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any

import orjson

from simulator.dialects.common import sockets as common
from simulator.dialects.common.frames import binary_frame, text_frame
from simulator.dialects.common.sockets import GOING_AWAY
from simulator.dialects.kite.packets import MODES, message, packet, raw_ltp
from simulator.dialects.kite.tokens import TokenMap
from simulator.exchange.market import Market
from simulator.faults import Fault, FaultBook

_HEARTBEAT_AFTER_SECONDS = 0.9


HEARTBEAT = binary_frame(b"\x00")
"""One byte, sent when nothing else was for a second."""


class Socket(common.Socket):
    """One ticker connection, and what it subscribed to."""

    __slots__ = ("modes",)

    def __init__(self, transport: Transport, api_key: str) -> None:
        super().__init__(transport, api_key)
        self.modes: dict[int, str] = {}


class Hub:
    """All sockets. A price change encodes each packet once per mode, however many sockets want it."""

    def __init__(self, tokens: TokenMap, faults: FaultBook) -> None:
        self._tokens = tokens
        self._faults = faults
        self.sockets: dict[str, set[Socket]] = {}
        self._subscribers: dict[int, dict[str, set[Socket]]] = {}
        # All of them, the one that was told nothing for the longest first.
        self._by_silence: dict[Socket, None] = {}
        faults.on_cut.append(self._cut)

    def add(self, socket: Socket) -> None:
        """Register a new connection."""
        self.sockets.setdefault(socket.api_key, set()).add(socket)
        self._by_silence[socket] = None

    def remove(self, socket: Socket) -> None:
        """Forget a connection."""
        for token in list(socket.modes):
            self.unsubscribe(socket, [token])
        self._by_silence.pop(socket, None)
        found = self.sockets.get(socket.api_key)
        if found is not None:
            found.discard(socket)
            if not found:
                del self.sockets[socket.api_key]

    def connections(self, api_key: str) -> int:
        """How many sockets a key has."""
        return len(self.sockets.get(api_key, ()))

    def count(self) -> int:
        """How many sockets there are."""
        return sum(len(found) for found in self.sockets.values())

    def set_mode(self, socket: Socket, mode: str, tokens: Iterable[int]) -> None:
        """Subscribe a socket in a mode, and send what is known now."""
        packets = []
        for token in tokens:
            market = self._tokens.market(token)
            if market is None:
                continue
            old = socket.modes.get(token)
            if old is not None:
                self._subscribers[token][old].discard(socket)
            socket.modes[token] = mode
            self._subscribers.setdefault(token, {name: set() for name in MODES})[mode].add(socket)
            packets.append(packet(market, token, mode))
        if packets:
            self._send(socket, binary_frame(message(packets)))

    def unsubscribe(self, socket: Socket, tokens: Iterable[int]) -> None:
        """End subscriptions."""
        for token in tokens:
            mode = socket.modes.pop(token, None)
            if mode is not None:
                self._subscribers[token][mode].discard(socket)

    def _send(self, socket: Socket, frame: bytes) -> None:
        if self._faults.faults and self._faults.mute(socket.api_key) is not None:
            return
        self._write(socket, frame)

    def _write(self, socket: Socket, frame: bytes) -> None:
        socket.sent_at = time.monotonic()
        if socket in self._by_silence:
            del self._by_silence[socket]
            self._by_silence[socket] = None
        socket.write(frame)

    def publish(self, markets: Sequence[Market]) -> None:
        """Send the new prices of some markets to their subscribers, all of one moment in one frame per socket."""
        if len(markets) == 1:
            self._publish_one(markets[0])
            return
        waiting: dict[Socket, list[bytes]] = {}
        for market in markets:
            token = self._tokens.token(market.instrument.key)
            for mode, sockets in self._subscribers.get(token, {}).items():
                if sockets:
                    encoded = packet(market, token, mode)
                    for socket in sockets:
                        waiting.setdefault(socket, []).append(encoded)
        frames: dict[tuple[int, ...], bytes] = {}
        for socket, packets in waiting.items():
            # Sockets with the same subscriptions share the packets' identities, and so the frame.
            key = tuple(map(id, packets))
            frame = frames.get(key)
            if frame is None:
                frame = frames[key] = binary_frame(message(packets))
            self._send(socket, frame)

    def _publish_one(self, market: Market) -> None:
        token = self._tokens.token(market.instrument.key)
        for mode, sockets in self._subscribers.get(token, {}).items():
            if sockets:
                self.send_packet(sockets, packet(market, token, mode))

    def send_packet(self, sockets: Iterable[Socket], one: bytes) -> int:
        """Send one packet to some sockets; answers how many."""
        frame = binary_frame(message([one]))
        count = 0
        for socket in list(sockets):
            self._send(socket, frame)
            count += 1
        return count

    def send_odd_price(self, market: Market, price: int) -> int:
        """An ltp packet to every subscriber, whatever its mode; answers how many."""
        token = self._tokens.token(market.instrument.key)
        return self.send_packet(self.subscribers(token), raw_ltp(token, price))

    def subscribers(self, token: int) -> set[Socket]:
        """Everybody subscribed to a token, in any mode."""
        return set().union(*self._subscribers.get(token, {}).values())

    def send_order(self, api_key: str, row: dict[str, Any]) -> None:
        """Send an order update to all sockets of an account."""
        sockets = self.sockets.get(api_key)
        if sockets:
            frame = text_frame(orjson.dumps({"type": "order", "data": row}))
            for socket in list(sockets):
                self._send(socket, frame)

    def send_text(self, socket: Socket, kind: str, data: Any) -> None:
        """Send one text message."""
        self._send(socket, text_frame(orjson.dumps({"type": kind, "data": data})))

    def beat(self) -> None:
        """Send a heartbeat to every socket that has been idle. Called many times a second: those that have not are not looked
        at."""
        idle_since = time.monotonic() - _HEARTBEAT_AFTER_SECONDS
        for socket in list(takewhile(lambda one: one.sent_at <= idle_since, self._by_silence)):
            mute = self._faults.mute(socket.api_key) if self._faults.faults else None
            if mute is None or mute.settings.get("heartbeats"):
                self._write(socket, HEARTBEAT)

    def close_account(self, api_key: str) -> None:
        """Close the sockets of an account whose token died."""
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
