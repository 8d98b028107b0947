"""A tiny exchange: orders and stops, fills, a book, a trade book, positions, and a log of all that was ever sent to it.

It knows nothing of our tables. What it lacks on purpose: depth, other people, and any idea of which run an order belongs to.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from trading.instruments import InstrumentId, Product
from trading.orders import (
    Accepted,
    BrokerOrder,
    BrokerOrderStatus,
    BrokerPosition,
    BrokerTrade,
    ModifyRequest,
    OrderRequest,
    Placed,
    RefusalKind,
    Refused,
    Side,
)

SHARE = InstrumentId("NSE", "TCS")
ALL = 1_000_000
OPEN = (BrokerOrderStatus.OPEN, BrokerOrderStatus.PENDING)


@dataclass(slots=True)
class Request:
    """One request whose first byte was written. `what`: place, modify or cancel; `landed`: the exchange has carried it out."""

    what: str
    by: str
    at: datetime
    tag: str | None = None
    side: Side | None = None
    quantity: int | None = None
    price: Decimal | None = None
    broker_order_id: str | None = None
    landed: bool = False
    # The network swallowed it: it can never land.
    is_lost: bool = False
    # It lands when nobody can be blamed for calling it absent.
    is_overdue: bool = False


class Exchange:
    """One account's view of it. `fills_at_most`: how many shares an order finds when it comes or when the market moves."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.price = Decimal(3600)
        self.fills_at_most = ALL
        self.log: list[Request] = []
        self.orders: dict[str, BrokerOrder] = {}
        self.trades: list[BrokerTrade] = []
        self.listeners: list[Callable[[BrokerOrder], None]] = []
        self._now = now
        self._history: list[tuple[datetime, tuple[BrokerOrder, ...]]] = []

    # --- requests -----------------------------------------------------------------------------------------------------

    def place(self, order: OrderRequest) -> Placed | Refused:
        broker_order_id = f"{len(self.orders) + 1:04d}"
        came = BrokerOrder(
            broker_order_id=broker_order_id,
            tag=order.tag,
            instrument=order.instrument,
            product=order.product,
            side=order.side,
            quantity=order.quantity,
            filled_quantity=0,
            price=order.price,
            average_price=Decimal(0),
            status=BrokerOrderStatus.OPEN,
            message="",
            updated_at=self._now(),
            trigger_price=order.trigger_price,
        )
        if order.trigger_price is not None and self.price <= order.trigger_price:
            return Refused(RefusalKind.INPUT, "the trigger has been passed already")
        if self._meets_itself(came):
            self._put(replace(came, status=BrokerOrderStatus.CANCELLED, message="self trade prevention"))
            return Placed(broker_order_id)
        self._put(came)
        self._match(broker_order_id)
        return Placed(broker_order_id)

    def modify(self, change: ModifyRequest) -> Accepted | Refused:
        order = self.orders[change.broker_order_id]
        if order.status not in OPEN:
            return Refused(RefusalKind.GONE, "order is not open")
        if change.quantity <= order.filled_quantity:
            return Refused(RefusalKind.INPUT, "quantity is below what was filled")
        if change.trigger_price is not None and (order.trigger_price is None or self.price <= change.trigger_price):
            return Refused(RefusalKind.INPUT, "the trigger has been passed already")
        changed = replace(order, quantity=change.quantity, price=change.price, trigger_price=change.trigger_price)
        self._put(replace(changed, updated_at=self._now()))
        self._match(order.broker_order_id)
        return Accepted()

    def cancel(self, broker_order_id: str) -> Accepted | Refused:
        order = self.orders[broker_order_id]
        if order.status not in OPEN:
            return Refused(RefusalKind.GONE, "order is not open")
        self._put(replace(order, status=BrokerOrderStatus.CANCELLED, updated_at=self._now()))
        return Accepted()

    # --- the market ---------------------------------------------------------------------------------------------------

    def move(self, price: Decimal) -> None:
        self.price = price
        self.trade_on()

    def trade_on(self) -> None:
        """Whatever rests and is marketable finds what there is now."""
        for broker_order_id in list(self.orders):
            self._match(broker_order_id)

    def reject(self, broker_order_id: str) -> None:
        """The exchange throws an order out by itself."""
        order = self.orders[broker_order_id]
        if order.status in OPEN:
            self._put(replace(order, status=BrokerOrderStatus.REJECTED, message="risk desk", updated_at=self._now()))

    def trade_by_hand(self, side: Side, quantity: int) -> None:
        """The user trades in the same account, past us."""
        broker_order_id = f"{len(self.orders) + 1:04d}"
        self._put(
            BrokerOrder(
                broker_order_id,
                None,
                SHARE,
                Product.MIS,
                side,
                quantity,
                0,
                self.price,
                Decimal(0),
                BrokerOrderStatus.OPEN,
                "",
                self._now(),
            )
        )
        self._fill(broker_order_id, quantity)

    def _meets_itself(self, came: BrokerOrder) -> bool:
        return any(
            order.status in OPEN
            and order.trigger_price is None
            and came.trigger_price is None
            and order.side is not came.side
            and (order.price >= came.price if came.side is Side.SELL else order.price <= came.price)
            for order in self.orders.values()
        )

    def _match(self, broker_order_id: str) -> None:
        order = self.orders[broker_order_id]
        if order.status not in OPEN:
            return
        if order.trigger_price is not None:
            if self.price > order.trigger_price:
                return
            order = replace(order, trigger_price=None, updated_at=self._now())
            self._put(order)
        reaches = order.price >= self.price if order.side is Side.BUY else order.price <= self.price
        if reaches:
            self._fill(broker_order_id, min(self.fills_at_most, order.quantity - order.filled_quantity))

    def _fill(self, broker_order_id: str, quantity: int) -> None:
        if quantity <= 0:
            return
        order = self.orders[broker_order_id]
        trade_id = f"t{len(self.trades) + 1}"
        self.trades.append(
            BrokerTrade(trade_id, broker_order_id, SHARE, Product.MIS, order.side, quantity, self.price, self._now())
        )
        filled = order.filled_quantity + quantity
        average = (order.average_price * order.filled_quantity + self.price * quantity) / filled
        status = BrokerOrderStatus.COMPLETE if filled == order.quantity else BrokerOrderStatus.OPEN
        self._put(replace(order, filled_quantity=filled, average_price=average, status=status, updated_at=self._now()))

    def _put(self, order: BrokerOrder) -> None:
        self.orders[order.broker_order_id] = order
        self._history.append((self._now(), tuple(self.orders.values())))
        for tell in list(self.listeners):
            tell(order)

    # --- reading ------------------------------------------------------------------------------------------------------

    def book(self, *, older_by: timedelta = timedelta(0)) -> tuple[BrokerOrder, ...]:
        """All orders, as they were that long ago."""
        until = self._now() - older_by
        return next((orders for at, orders in reversed(self._history) if at <= until), ())

    def positions(self) -> tuple[BrokerPosition, ...]:
        return (BrokerPosition(SHARE, Product.MIS, self.net(), self.price, self.price),)

    def net(self, tags: set[str] | None = None) -> int:
        """Bought less sold: of the orders with those tags, or of all."""
        chosen = {key for key, order in self.orders.items() if tags is None or order.tag in tags}
        return sum(
            trade.quantity if trade.side is Side.BUY else -trade.quantity
            for trade in self.trades
            if trade.broker_order_id in chosen
        )

    def filled(self, tags: set[str], side: Side) -> int:
        return sum(order.filled_quantity for order in self.orders.values() if order.tag in tags and order.side is side)
