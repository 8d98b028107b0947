"""The market data sockets: who subscribed to what, and the items each is still to get."""

import itertools
from asyncio import Transport
from collections.abc import Iterable, Sequence

from simulator.dialects.common import sockets as common
from simulator.dialects.common.frames import binary_frame
from simulator.dialects.common.sockets import GOING_AWAY
from simulator.dialects.fyers import packets, symbols
from simulator.dialects.fyers.symbols import SymbolMap
from simulator.exchange.market import Market
from simulator.faults import Fault, FaultBook

TOPICS_PER_CONNECTION = 5_000


class Socket(common.Socket):
    """One connection: its topics with the values it has been told, its mode, and how many data frames it got."""

    __slots__ = ("acknowledged", "is_lite", "messages", "paused", "topics")

    def __init__(self, transport: Transport, api_key: str) -> None:
        super().__init__(transport, api_key)
        self.topics: dict[str, tuple[int, ...]] = {}
        self.is_lite = False
        self.paused = False
        self.messages = 0
        self.acknowledged = 0


class Hub:
    """All sockets. Every topic has one number for all of them."""

    def __init__(self, symbol_map: SymbolMap, faults: FaultBook) -> None:
        self._symbols = symbol_map
        self._faults = faults
        self.sockets: dict[str, set[Socket]] = {}
        self._subscribers: dict[str, set[Socket]] = {}
        self._numbers: dict[str, int] = {}
        self._next_number = itertools.count(1)
        faults.on_cut.append(self._cut)

    def add(self, socket: Socket) -> None:
        """Register a connection that has shown its key; an account has one, so an older one is closed."""
        self.close_account(socket.api_key)
        self.sockets.setdefault(socket.api_key, set()).add(socket)

    def remove(self, socket: Socket) -> None:
        """Forget a connection."""
        self.unsubscribe(socket, list(socket.topics))
        found = self.sockets.get(socket.api_key)
        if found is not None:
            found.discard(socket)
            if not found:
                del self.sockets[socket.api_key]

    def connections(self, api_key: str | None = None) -> int:
        """How many sockets there are, of one account or of all."""
        if api_key is not None:
            return len(self.sockets.get(api_key, ()))
        return sum(len(found) for found in self.sockets.values())

    def subscribers(self, topic: str) -> set[Socket]:
        """Everybody subscribed to a topic."""
        return self._subscribers.get(topic, set())

    def subscribe(self, socket: Socket, topics: Iterable[str]) -> None:
        """Add topics, and send the snapshot of each; topics nobody knows are silently absent."""
        items = []
        for topic in topics:
            market = self._symbols.of_topic(topic)
            if market is None:
                continue
            values = packets.values_of(market, topic[:2])
            socket.topics[topic] = values
            self._subscribers.setdefault(topic, set()).add(socket)
            items.append(packets.snapshot(market, topic, self._number(topic), values))
        self._send_items(socket, items)

    def unsubscribe(self, socket: Socket, topics: Iterable[str]) -> None:
        """End subscriptions."""
        for topic in topics:
            if socket.topics.pop(topic, None) is not None:
                self._subscribers[topic].discard(socket)

    def _number(self, topic: str) -> int:
        if topic not in self._numbers:
            self._numbers[topic] = next(self._next_number) & 0xFFFF
        return self._numbers[topic]

    def publish(self, markets: Sequence[Market]) -> None:
        """Tell the subscribers of some markets what has changed, all of one moment in one frame per socket."""
        waiting: dict[Socket, list[bytes]] = {}
        for market in markets:
            for kind, topic in symbols.topics(market.instrument).items():
                if sockets := self._subscribers.get(topic):
                    self._add_changes(waiting, sockets, topic, packets.values_of(market, kind))
        for socket, items in waiting.items():
            self._send_items(socket, items)

    def send_odd_price(self, market: Market, price: int) -> int:
        """A change of the last price alone to every subscriber; answers how many sockets were told."""
        waiting: dict[Socket, list[bytes]] = {}
        for kind, topic in symbols.topics(market.instrument).items():
            if kind != packets.DEPTH:
                for socket in self.subscribers(topic):
                    odd = (packets.raw_price(price), *socket.topics[topic][1:])
                    self._add_changes(waiting, [socket], topic, odd)
        for socket, items in waiting.items():
            self._send_items(socket, items)
        return len(waiting)

    def _add_changes(
        self, waiting: dict[Socket, list[bytes]], sockets: Iterable[Socket], topic: str, values: tuple[int, ...]
    ) -> None:
        number = self._number(topic)
        made: dict[tuple[bool, tuple[int, ...]], bytes] = {}
        for socket in sockets:
            before = socket.topics[topic]
            if socket.paused or (before[0] == values[0] if socket.is_lite else before == values):
                continue
            key = (socket.is_lite, before)
            if key not in made:
                made[key] = packets.lite(number, values[0]) if socket.is_lite else packets.update(number, before, values)
            socket.topics[topic] = values
            waiting.setdefault(socket, []).append(made[key])

    def _send_items(self, socket: Socket, items: Sequence[bytes]) -> None:
        if items:
            socket.messages += 1
            self.send(socket, packets.data_frame(items, number=socket.messages))

    def send(self, socket: common.Socket, frame: bytes) -> None:
        """Send one message, unless the account's sockets are mute."""
        if not self.is_mute(socket.api_key):
            socket.write(binary_frame(frame))

    def is_mute(self, api_key: str, *, heartbeat: bool = False) -> bool:
        """Whether a mute is in force; one may let heartbeats through."""
        mute = self._faults.mute(api_key) if self._faults.faults else None
        return mute is not None and not (heartbeat and mute.settings.get("heartbeats"))

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
