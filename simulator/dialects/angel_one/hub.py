"""The open sockets of both kinds: who subscribed to what, and the fast way of telling them."""

import itertools
from asyncio import Transport
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from simulator.dialects.angel_one.packets import packet, raw_ltp
from simulator.dialects.angel_one.tokens import TokenMap
from simulator.dialects.common import sockets as common
from simulator.dialects.common.frames import binary_frame, text_frame
from simulator.dialects.common.sockets import GOING_AWAY
from simulator.exchange.market import Market
from simulator.faults import Fault, FaultBook

# Exchange type and token.
Key = tuple[int, str]
# A mode and what it is subscribed for: the same instrument in two modes is two subscriptions.
Subscription = tuple[int, Key]
PONG = text_frame(b"pong")


class Socket(common.Socket):
    """One connection: to the feed with its subscriptions, or to the order updates."""

    __slots__ = ("for_orders", "subscriptions")

    def __init__(self, transport: Transport, api_key: str, *, for_orders: bool) -> None:
        super().__init__(transport, api_key)
        self.for_orders = for_orders
        self.subscriptions: set[Subscription] = set()


class Hub:
    """All sockets. A price change encodes each packet once per mode, however many sockets want it."""

    def __init__(self, tokens: TokenMap, faults: FaultBook) -> None:
        self._tokens = tokens
        self._faults = faults
        self.sockets: dict[str, set[Socket]] = {}
        self._subscribers: dict[Key, dict[int, set[Socket]]] = {}
        self._sequence = itertools.count(1)
        faults.on_cut.append(self._cut)

    def add(self, socket: Socket) -> None:
        """Register a new connection."""
        self.sockets.setdefault(socket.api_key, set()).add(socket)

    def remove(self, socket: Socket) -> None:
        """Forget a connection."""
        self.unsubscribe(socket, list(socket.subscriptions))
        found = self.sockets.get(socket.api_key)
        if found is not None:
            found.discard(socket)
            if not found:
                del self.sockets[socket.api_key]

    def connections(self, api_key: str | None = None, *, for_orders: bool | None = None) -> int:
        """How many sockets there are, of one account or of all, of one kind or of both."""
        keys = list(self.sockets) if api_key is None else [api_key]
        found = (socket for key in keys for socket in self.sockets.get(key, ()))
        return sum(1 for socket in found if for_orders is None or socket.for_orders is for_orders)

    def subscribers(self, key: Key) -> int:
        """How many sockets want an instrument, in any mode."""
        return sum(len(sockets) for sockets in self._subscribers.get(key, {}).values())

    def subscribe(self, socket: Socket, subscriptions: Iterable[Subscription]) -> None:
        """Subscribe, and send what is known now. What exists already, or names nothing, is ignored."""
        for subscription in subscriptions:
            mode, key = subscription
            market = self._tokens.market_on_feed(*key)
            if market is None or subscription in socket.subscriptions:
                continue
            socket.subscriptions.add(subscription)
            self._subscribers.setdefault(key, {}).setdefault(mode, set()).add(socket)
            self.send(socket, binary_frame(packet(market, key, mode, next(self._sequence))))

    def unsubscribe(self, socket: Socket, subscriptions: Iterable[Subscription]) -> None:
        """End subscriptions."""
        for subscription in subscriptions:
            if subscription in socket.subscriptions:
                mode, key = subscription
                socket.subscriptions.discard(subscription)
                self._subscribers[key][mode].discard(socket)

    def is_mute(self, api_key: str, *, heartbeats: bool = False) -> bool:
        """Whether a fault keeps the account's sockets silent."""
        fault = self._faults.mute(api_key) if self._faults.faults else None
        return fault is not None and not (heartbeats and fault.settings.get("heartbeats"))

    def send(self, socket: Socket, frame: bytes) -> None:
        """Send one frame, unless the account is muted."""
        if not self.is_mute(socket.api_key):
            socket.write(frame)

    def publish(self, markets: Sequence[Market]) -> None:
        """Send the new prices of some markets to their subscribers, one message each."""
        for market in markets:
            key = self._tokens.feed_key(market.instrument.key)
            for mode, sockets in self._subscribers.get(key, {}).items():
                if sockets:
                    frame = binary_frame(packet(market, key, mode, next(self._sequence)))
                    for socket in list(sockets):
                        self.send(socket, frame)

    def send_odd_price(self, market: Market, price: int) -> int:
        """A packet of the smallest mode to every subscriber, whatever its mode; answers how many."""
        key, sent = self._tokens.feed_key(market.instrument.key), 0
        for sockets in self._subscribers.get(key, {}).values():
            for socket in list(sockets):
                self.send(socket, binary_frame(raw_ltp(market, key, next(self._sequence), price)))
                sent += 1
        return sent

    def send_order(self, api_key: str, message: dict[str, Any]) -> None:
        """Send an order update to all sockets of an account that are for them."""
        frame = text_frame(orjson.dumps(message))
        for socket in list(self.sockets.get(api_key, ())):
            if socket.for_orders:
                self.send(socket, frame)

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
