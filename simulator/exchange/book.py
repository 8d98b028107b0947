"""The resting orders of one instrument, best price first, then first come."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from operator import itemgetter

from simulator.exchange.orders import Order, Side

_key = itemgetter(0)
Key = tuple[int, int]


class BookSide:
    """One side of the book: limit orders by price-time priority."""

    __slots__ = ("_rows", "_sign")

    def __init__(self, side: Side) -> None:
        self._sign = -1 if side is Side.BUY else 1
        self._rows: list[tuple[Key, Order]] = []

    def __iter__(self) -> Iterator[Order]:
        return iter([order for _, order in self._rows])

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, order: Order) -> None:
        """Queue an order behind those of the same price."""
        insort(self._rows, ((self._sign * order.price, order.priority), order), key=_key)

    def remove(self, order: Order) -> None:
        """Take an order out. Raises KeyError if it does not rest here at its present price and priority."""
        key = (self._sign * order.price, order.priority)
        index = bisect_left(self._rows, key, key=_key)
        if index == len(self._rows) or self._rows[index][1] is not order:
            raise KeyError(order.order_id)
        del self._rows[index]

    def crossing(self, price: int) -> list[Order]:
        """The resting orders whose limit reaches this price, best first."""
        end = bisect_left(self._rows, (self._sign * price, 2**62), key=_key)
        return [order for _, order in self._rows[:end]]

    def levels(self, count: int) -> list[tuple[int, int, int]]:
        """The best price levels as (price, quantity, number of orders)."""
        found: list[tuple[int, int, int]] = []
        for _, order in self._rows:
            if found and found[-1][0] == order.price:
                price, quantity, orders = found[-1]
                found[-1] = (price, quantity + order.pending, orders + 1)
            elif len(found) == count:
                break
            else:
                found.append((order.price, order.pending, 1))
        return found


class Triggers:
    """Stop orders waiting for their trigger price, in the order in which they would fire."""

    __slots__ = ("_buys", "_sells")

    def __init__(self) -> None:
        self._buys: list[tuple[Key, Order]] = []
        self._sells: list[tuple[Key, Order]] = []

    def _rows(self, order: Order) -> tuple[list[tuple[Key, Order]], Key]:
        if order.side is Side.BUY:
            return self._buys, (order.trigger_price, order.priority)
        return self._sells, (-order.trigger_price, order.priority)

    def add(self, order: Order) -> None:
        """Wait for the trigger."""
        rows, key = self._rows(order)
        insort(rows, (key, order), key=_key)

    def remove(self, order: Order) -> None:
        """Stop waiting. Raises KeyError if the order does not wait here at its present trigger and priority."""
        rows, key = self._rows(order)
        index = bisect_left(rows, key, key=_key)
        if index == len(rows) or rows[index][1] is not order:
            raise KeyError(order.order_id)
        del rows[index]

    def take_hit(self, price: int) -> list[Order]:
        """Take out the orders whose trigger this price has reached: buys at or above it, sells at or below."""
        hit: list[Order] = []
        for rows, limit in ((self._buys, price), (self._sells, -price)):
            end = bisect_left(rows, (limit, 2**62), key=_key)
            hit.extend(order for _, order in rows[:end])
            del rows[:end]
        return hit
