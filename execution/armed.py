"""Armed orders of the leased accounts, in memory, ordered by their instants. A copy that may be stale: the claim decides."""

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from trading.instruments import InstrumentId
from trading.orders import Leg


@dataclass(frozen=True, slots=True)
class ArmedOrder:
    """An order row that waits for its instant or its price."""

    order_id: str
    run_id: str
    account_id: str
    leg: Leg
    revision: int
    instrument: InstrumentId
    fire_at: datetime | None
    stop_price: Decimal | None
    stop_version: int
    band_step: int
    target_price: Decimal | None = None

    def is_pointless_at(self, price: Decimal) -> bool:
        """Whether what is bought at that price would be sold again at once."""
        at_stop = self.stop_price is not None and price <= self.stop_price
        return at_stop or (self.target_price is not None and price >= self.target_price)


class ArmedOrders:
    """Look-ups by run for stops, by instant for timers."""

    def __init__(self) -> None:
        self._orders: dict[str, ArmedOrder] = {}
        self._put_at: dict[str, int] = {}
        self._puts = 0
        self._exit_of_run: dict[str, str] = {}
        # Entries of the heap may be outdated; `due` checks each against `_orders` before it counts.
        self._heap: list[tuple[datetime, str, int]] = []

    def __len__(self) -> int:
        return len(self._orders)

    def put(self, order: ArmedOrder) -> bool:
        """Add or replace; True when it is new or changed."""
        known = self._orders.get(order.order_id)
        if known is not None and known.revision >= order.revision:
            return False
        self._puts += 1
        self._orders[order.order_id], self._put_at[order.order_id] = order, self._puts
        if order.leg is Leg.EXIT:
            self._exit_of_run[order.run_id] = order.order_id
        if order.fire_at is not None and (known is None or known.fire_at != order.fire_at):
            heapq.heappush(self._heap, (order.fire_at, order.order_id, order.revision))
        return True

    def drop(self, order_id: str) -> None:
        order = self._orders.pop(order_id, None)
        self._put_at.pop(order_id, None)
        if order is not None and self._exit_of_run.get(order.run_id) == order_id:
            del self._exit_of_run[order.run_id]

    def mark(self) -> int:
        """Take one before a full read of the rows, and hand it to `keep` with what was read."""
        return self._puts

    def lacks(self, revisions: Mapping[str, int]) -> list[str]:
        """Those of the orders, by id, that are not here or older."""
        known = self._orders
        return [
            order_id for order_id, revision in revisions.items() if order_id not in known or known[order_id].revision < revision
        ]

    def keep(self, order_ids: Collection[str], *, mark: int) -> None:
        """All that were armed when `mark` was taken are those; any other is gone, unless it was put since."""
        for order_id in [known for known, put_at in self._put_at.items() if put_at <= mark and known not in order_ids]:
            self.drop(order_id)

    def drop_account(self, account_id: str) -> None:
        for order_id in [order.order_id for order in self._orders.values() if order.account_id == account_id]:
            self.drop(order_id)

    def exit_of(self, run_id: str) -> ArmedOrder | None:
        order_id = self._exit_of_run.get(run_id)
        return None if order_id is None else self._orders[order_id]

    def get(self, order_id: str) -> ArmedOrder | None:
        return self._orders.get(order_id)

    def next_instant(self) -> datetime | None:
        """When the next order is due by time."""
        while self._heap:
            fire_at, order_id, _ = self._heap[0]
            order = self._orders.get(order_id)
            if order is not None and order.fire_at == fire_at:
                return fire_at
            heapq.heappop(self._heap)
        return None

    def take_due(self, now: datetime) -> list[ArmedOrder]:
        """Orders whose instant has come; each is handed out once. One that could not be sent is put back by the sweep."""
        due: dict[str, ArmedOrder] = {}
        while self._heap and self._heap[0][0] <= now:
            fire_at, order_id, _ = heapq.heappop(self._heap)
            order = self._orders.get(order_id)
            if order is not None and order.fire_at == fire_at:
                due[order_id] = order
        return list(due.values())
