"""The sockets: who wants which prices, who listens to orders, and the fast way of telling them."""

import time
from asyncio import Transport
from collections.abc import Iterable, Sequence

import orjson

from simulator.dialects.common import sockets as common
from simulator.dialects.common.frames import binary_frame, text_frame
from simulator.dialects.common.sockets import GOING_AWAY
from simulator.dialects.dhan.packets import MODES, disconnect, packet, previous_close, raw_ticker
from simulator.dialects.dhan.shapes import Row
from simulator.exchange.market import Market
from simulator.faults import Fault, FaultBook

PING_AFTER_SECONDS = 10.0
_PING = b"\x89\x00"
EXPIRED, TOO_MANY = 807, 805


class Socket(common.Socket):
    """One connection of the market feed, and what it subscribed to, by instrument key."""

    __slots__ = ("modes",)

    def __init__(self, transport: Transport, api_key: str) -> None:
        super().__init__(transport, api_key)
        self.modes: dict[str, str] = {}


class Hub:
    """All sockets. A price change encodes each packet once per mode, and sends each packet in a frame of its own, since the
    broker's own client reads only the first packet of a frame."""

    def __init__(self, faults: FaultBook, *, shifted_times: bool = False) -> None:
        self._faults = faults
        self.shifted_times = shifted_times
        self.ping_after_seconds = PING_AFTER_SECONDS
        self.feeds: dict[str, list[Socket]] = {}
        self.listeners: dict[str, list[Socket]] = {}
        self._subscribers: dict[str, dict[str, set[Socket]]] = {}
        faults.on_cut.append(self._cut)

    def add_feed(self, socket: Socket, *, most: int) -> None:
        """Register a connection; the oldest one of too many is told why and closed."""
        own = self.feeds.setdefault(socket.api_key, [])
        own.append(socket)
        while most and len(own) > most:
            self._say_goodbye(own.pop(0), TOO_MANY)

    def add_listener(self, socket: Socket) -> None:
        """Register a connection that hears of orders."""
        self.listeners.setdefault(socket.api_key, []).append(socket)

    def remove(self, socket: Socket) -> None:
        """Forget a connection of either kind."""
        self.unsubscribe(socket, list(socket.modes))
        for sockets in (self.feeds, self.listeners):
            own = sockets.get(socket.api_key, [])
            if socket in own:
                own.remove(socket)
                if not own:
                    del sockets[socket.api_key]

    def count(self, api_key: str | None = None) -> int:
        """How many connections there are, of one account or of all."""
        found = (self.feeds, self.listeners)
        if api_key is not None:
            return sum(len(sockets.get(api_key, ())) for sockets in found)
        return sum(len(own) for sockets in found for own in sockets.values())

    def subscribers(self, key: str) -> set[Socket]:
        """Everybody subscribed to an instrument, in any mode."""
        return set().union(*self._subscribers.get(key, {}).values())

    def subscribe(self, socket: Socket, mode: str, markets: Iterable[Market]) -> None:
        """Subscribe a connection in a mode: yesterday's close, then what is known now."""
        for market in markets:
            key = market.instrument.key
            old = socket.modes.get(key)
            if old is not None:
                self._subscribers[key][old].discard(socket)
            socket.modes[key] = mode
            self._subscribers.setdefault(key, {name: set() for name in MODES})[mode].add(socket)
            self._send(socket, binary_frame(previous_close(market)))
            self._send(socket, binary_frame(self._packet(market, mode)))

    def unsubscribe(self, socket: Socket, keys: Iterable[str]) -> None:
        """End subscriptions."""
        for key in keys:
            mode = socket.modes.pop(key, None)
            if mode is not None:
                self._subscribers[key][mode].discard(socket)

    def publish(self, markets: Sequence[Market]) -> None:
        """Send the new prices of some markets to their subscribers."""
        for market in markets:
            for mode, sockets in self._subscribers.get(market.instrument.key, {}).items():
                if sockets:
                    frame = binary_frame(self._packet(market, mode))
                    for socket in list(sockets):
                        self._send(socket, frame)

    def _packet(self, market: Market, mode: str) -> bytes:
        return packet(market, mode, shifted=self.shifted_times)

    def send_packet(self, sockets: Iterable[Socket], one: bytes) -> int:
        """Send one packet to some connections; answers how many."""
        frame, count = binary_frame(one), 0
        for socket in list(sockets):
            self._send(socket, frame)
            count += 1
        return count

    def send_odd_price(self, market: Market, price: int) -> int:
        """A ticker packet to every subscriber, whatever its mode; answers how many."""
        odd = raw_ticker(market, price, shifted=self.shifted_times)
        return self.send_packet(self.subscribers(market.instrument.key), odd)

    def send_order(self, api_key: str, row: Row) -> None:
        """Tell an account's listeners of an order."""
        own = self.listeners.get(api_key)
        if own:
            frame = text_frame(orjson.dumps({"Data": row, "Type": "order_alert"}))
            for socket in list(own):
                self._send(socket, frame)

    def _send(self, socket: Socket, frame: bytes) -> None:
        if not self.is_mute(socket.api_key):
            socket.sent_at = time.monotonic()
            socket.write(frame)

    def is_mute(self, api_key: str) -> bool:
        """Whether a fault has silenced the account's connections, pings and pongs included."""
        return bool(self._faults.faults) and self._faults.mute(api_key) is not None

    def pongs(self, api_key: str) -> bool:
        """Whether pings of the account are answered: a mute may leave the signs of life alone."""
        mute = self._faults.mute(api_key) if self._faults.faults else None
        return mute is None or bool(mute.settings.get("heartbeats"))

    def beat(self) -> None:
        """Ping every connection that has been idle."""
        idle_since = time.monotonic() - self.ping_after_seconds
        for socket in self._all():
            if socket.sent_at <= idle_since and self.pongs(socket.api_key):
                socket.sent_at = time.monotonic()
                socket.write(_PING)

    def _all(self) -> list[Socket]:
        return [socket for sockets in (self.feeds, self.listeners) for own in sockets.values() for socket in own]

    def close_account(self, api_key: str) -> None:
        """Say goodbye to the connections of an account whose token died."""
        for socket in list(self.feeds.get(api_key, ())):
            self._say_goodbye(socket, EXPIRED)
        for socket in list(self.listeners.get(api_key, ())):
            socket.close(GOING_AWAY)

    def _say_goodbye(self, socket: Socket, reason: int) -> None:
        socket.write(binary_frame(disconnect(reason)))
        socket.close(GOING_AWAY)

    def close_all(self) -> None:
        """Close everything, at the end."""
        for socket in self._all():
            socket.close(GOING_AWAY)

    def _cut(self, fault: Fault) -> None:
        for socket in self._all():
            if fault.account in (None, socket.api_key):
                socket.abort()
