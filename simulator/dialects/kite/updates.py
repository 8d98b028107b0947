"""Order updates: text frames on the account's ticker sockets, and postbacks (Kite Connect v3, "Postback")."""

import hashlib

from simulator.clock import india_text
from simulator.dialects.common.updates import OrderTeller, Postbacks
from simulator.dialects.kite.hub import Hub
from simulator.dialects.kite.shapes import Shapes
from simulator.exchange.engine import Exchange
from simulator.exchange.events import Event, OrderChanged
from simulator.exchange.orders import Order, Snapshot, Status
from simulator.faults import FaultBook

_FIRST_AT_EXCHANGE = 3


class Updates:
    """Observes the engine and tells clients of changes: not of the placing itself, only of what happens after."""

    def __init__(self, exchange: Exchange, shapes: Shapes, hub: Hub, faults: FaultBook) -> None:
        self._exchange = exchange
        self._shapes = shapes
        self._hub = hub
        self._teller = OrderTeller(faults, row=shapes.update, send=hub.send_order)
        self._postbacks = Postbacks()

    async def close(self) -> None:
        """Stop sending postbacks."""
        await self._postbacks.close()

    def observe(self, event: Event) -> None:
        """Tell of a change worth telling."""
        if isinstance(event, OrderChanged) and _is_told(event.order, event.snapshot):
            self._tell(event.order, event.snapshot)

    def _tell(self, order: Order, snapshot: Snapshot) -> None:
        account = self._exchange.accounts[order.account]
        if account.api_key in self._hub.sockets:
            self._teller.tell(order, snapshot)
        if account.postback_url and order.via_api and account.dialect == "zerodha":
            checksum = postback_checksum(order.order_id, india_text(order.created_ns), account.api_secret)
            row = self._shapes.update(order, snapshot, checksum=checksum)
            self._postbacks.post(account.postback_url, row, order_id=order.order_id)


def postback_checksum(order_id: str, order_timestamp: str, api_secret: str) -> str:
    """SHA-256 over order id, order timestamp and api_secret, in lower-case hex."""
    return hashlib.sha256(f"{order_id}{order_timestamp}{api_secret}".encode()).hexdigest()


def _is_told(order: Order, snapshot: Snapshot) -> bool:
    if snapshot.status.is_terminal:
        return True
    if snapshot.status not in (Status.OPEN, Status.TRIGGER_PENDING):
        return False
    return snapshot is not order.history[_FIRST_AT_EXCHANGE]
