"""Order updates: what the order socket tells of orders and fills."""

import asyncio

from simulator.dialects.fyers.order_socket import OrderSocket
from simulator.dialects.fyers.shapes import Shapes
from simulator.exchange.engine import Exchange
from simulator.exchange.events import Event, Filled, OrderChanged
from simulator.exchange.orders import Order, Snapshot, Status
from simulator.faults import Fault, FaultBook

_TOLD = frozenset({Status.VALIDATION_PENDING, Status.OPEN, Status.TRIGGER_PENDING})
"""Beside the ends of an order: in transit once, then each time something is new at the exchange."""


class Updates:
    """Observes the engine and tells clients."""

    def __init__(self, exchange: Exchange, shapes: Shapes, sockets: OrderSocket, faults: FaultBook) -> None:
        self._exchange = exchange
        self._shapes = shapes
        self._sockets = sockets
        self._faults = faults

    def observe(self, event: Event) -> None:
        """Tell of a change worth telling."""
        if isinstance(event, OrderChanged | Filled) and event.order.account not in self._sockets.sockets:
            return
        if isinstance(event, OrderChanged) and (event.snapshot.status in _TOLD or event.snapshot.status.is_terminal):
            self._tell(event.order, event.snapshot)
        elif isinstance(event, Filled):
            self._sockets.tell(event.order.account, "trades", self._shapes.trade_update(event.order, event.trade))

    def _tell(self, order: Order, snapshot: Snapshot) -> None:
        row = self._shapes.update(order, snapshot)
        fault = self._fault(order) if self._faults.faults else None
        kind = "" if fault is None else fault.kind
        if kind == "no_order_updates":
            return
        if fault is not None and kind == "late_update":
            loop = asyncio.get_running_loop()
            loop.call_later(fault.delay_ms / 1000, self._sockets.tell, order.account, "orders", row)
            return
        self._sockets.tell(order.account, "orders", row)
        if kind == "duplicate_update":
            self._sockets.tell(order.account, "orders", row)
        elif kind == "regress_update":
            self._sockets.tell(order.account, "orders", self._shapes.update(order, _older(order, snapshot)))

    def _fault(self, order: Order) -> Fault | None:
        symbol = order.instrument.partition(":")[2]
        return self._faults.update(
            order.account, {"tradingsymbol": symbol, "transaction_type": order.side, "tag": order.tag or ""}
        )


def _older(order: Order, snapshot: Snapshot) -> Snapshot:
    index = next(index for index, known in enumerate(order.history) if known is snapshot)
    return order.history[max(0, index - 1)]
