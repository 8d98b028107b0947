"""Rows of the order book as bytes."""

from abc import ABC, abstractmethod
from typing import Any

import orjson

from simulator.exchange.orders import Order, Snapshot


class OrderRows(ABC):
    """Remembers the encoded rows, since books are read far more often than orders change."""

    def __init__(self) -> None:
        self._encoded: dict[str, tuple[int, bytes]] = {}

    @abstractmethod
    def order(self, order: Order, snapshot: Snapshot) -> dict[str, Any]:
        """The order's row as it was at a snapshot."""

    def forget(self) -> None:
        """Drop remembered rows, at the end of a day."""
        self._encoded.clear()

    def order_bytes(self, order: Order) -> bytes:
        """The order's present row, encoded."""
        version = len(order.history)
        known = self._encoded.get(order.order_id)
        if known is not None and known[0] == version:
            return known[1]
        encoded = orjson.dumps(self.order(order, order.history[-1]))
        self._encoded[order.order_id] = (version, encoded)
        return encoded
