"""Handles of the account's orders, remembered from every answer that shows one, so that a change needs no read before it."""

from collections.abc import Iterable

from brokers.angel_one.orders import Handle, Listed

# More than an account may place in a day.
MOST = 10_000


class Handles:
    def __init__(self) -> None:
        self._by_id: dict[str, Handle] = {}

    def of(self, broker_order_id: str) -> Handle | None:
        return self._by_id.get(broker_order_id)

    def learn(self, broker_order_id: str, handle: Handle) -> None:
        self._by_id[broker_order_id] = handle
        while len(self._by_id) > MOST:
            del self._by_id[next(iter(self._by_id))]

    def forget(self, broker_order_id: str) -> None:
        self._by_id.pop(broker_order_id, None)

    def learn_all(self, listed: Iterable[Listed]) -> None:
        for one in listed:
            self.learn(one.order.broker_order_id, one.handle)
