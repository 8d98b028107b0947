"""What the engine tells the outside after each operation, once it is in the journal."""

from typing import NamedTuple

from simulator.exchange.orders import Order, Origin, Snapshot, Trade


class OrderPlaced(NamedTuple):
    """An order was accepted: it has an id and is in the order book of its account."""

    order: Order
    origin: Origin


class OrderModified(NamedTuple):
    """A modification was accepted."""

    order: Order
    origin: Origin


class OrderCancelRequested(NamedTuple):
    """A cancellation was accepted."""

    order: Order
    origin: Origin


class OrderChanged(NamedTuple):
    """An order reached a new state, which this snapshot holds."""

    order: Order
    snapshot: Snapshot


class Filled(NamedTuple):
    """An order traded."""

    order: Order
    trade: Trade


class Conversion(NamedTuple):
    """A position moved from one product to another at its average price (price units)."""

    account: str
    instrument: str
    old_product: str
    new_product: str
    side: str
    quantity: int
    price: int


Event = OrderPlaced | OrderModified | OrderCancelRequested | OrderChanged | Filled | Conversion
