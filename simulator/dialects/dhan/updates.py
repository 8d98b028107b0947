"""Order updates on the accounts' sockets, and postbacks (DhanHQ v2 documentation, "Live order update", "Postback")."""

from simulator.dialects.common.updates import OrderTeller, Postbacks
from simulator.dialects.dhan.hub import Hub
from simulator.dialects.dhan.sessions import DIALECT
from simulator.dialects.dhan.shapes import Shapes
from simulator.exchange.engine import Exchange
from simulator.exchange.events import Event, OrderChanged
from simulator.exchange.orders import Order, Snapshot, Status
from simulator.faults import FaultBook

_TOLD = frozenset({
    Status.RECEIVED, Status.OPEN, Status.TRIGGER_PENDING, Status.COMPLETE, Status.CANCELLED, Status.REJECTED,
})  # fmt: skip
"""What clients hear of: the way to the exchange is one state to this broker."""


class Updates:
    """Observes the engine and tells clients of changes, from whatever app the order came."""

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
        if isinstance(event, OrderChanged) and event.snapshot.status in _TOLD:
            self._tell(event.order, event.snapshot)

    def _tell(self, order: Order, snapshot: Snapshot) -> None:
        account = self._exchange.accounts[order.account]
        if account.api_key in self._hub.listeners:
            self._teller.tell(order, snapshot)
        if account.postback_url and order.via_api and account.dialect == DIALECT:
            self._postbacks.post(account.postback_url, self._shapes.postback(order, snapshot), order_id=order.order_id)
