"""Order updates: what the order socket tells of orders and fills."""

from typing import Any

from simulator.dialects.common.updates import OrderTeller
from simulator.dialects.fyers.order_socket import OrderSocket
from simulator.dialects.fyers.shapes import Shapes
from simulator.exchange.events import Event, Filled, OrderChanged
from simulator.exchange.orders import Status
from simulator.faults import FaultBook

_TOLD = frozenset({Status.VALIDATION_PENDING, Status.OPEN, Status.TRIGGER_PENDING})
"""Beside the ends of an order: in transit once, then each time something is new at the exchange."""


class Updates:
    """Observes the engine and tells clients."""

    def __init__(self, shapes: Shapes, sockets: OrderSocket, faults: FaultBook) -> None:
        self._shapes = shapes
        self._sockets = sockets
        self._orders = OrderTeller(faults, row=shapes.update, send=self._tell_order)

    def _tell_order(self, api_key: str, row: dict[str, Any]) -> None:
        self._sockets.tell(api_key, "orders", row)

    def observe(self, event: Event) -> None:
        """Tell of a change worth telling."""
        if isinstance(event, OrderChanged | Filled) and event.order.account not in self._sockets.sockets:
            return
        if isinstance(event, OrderChanged) and (event.snapshot.status in _TOLD or event.snapshot.status.is_terminal):
            self._orders.tell(event.order, event.snapshot)
        elif isinstance(event, Filled):
            self._sockets.tell(event.order.account, "trades", self._shapes.trade_update(event.order, event.trade))
