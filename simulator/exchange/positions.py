"""Positions and holdings: what an account owns, derived from its trades alone."""

from dataclasses import dataclass

from simulator.exchange.orders import Product, Side


@dataclass(slots=True)
class Position:
    """One instrument under one product. Quantities are signed where net; values are price units times quantity.

    `open_value` is the cost of the open quantity at average cost, never negative; `realised` is the profit taken.
    `pending_buy` and `pending_sell` count what is still unfilled in open orders.
    """

    instrument: str
    product: Product
    overnight_quantity: int = 0
    overnight_value: int = 0
    day_buy_quantity: int = 0
    day_buy_value: int = 0
    day_sell_quantity: int = 0
    day_sell_value: int = 0
    open_value: int = 0
    realised: int = 0
    pending_buy: int = 0
    pending_sell: int = 0

    @property
    def net(self) -> int:
        """The net open quantity."""
        return self.overnight_quantity + self.day_buy_quantity - self.day_sell_quantity

    def apply(self, side: Side, quantity: int, price: int) -> None:
        """Count a trade."""
        before = self.net
        value = quantity * price
        if side is Side.BUY:
            self.day_buy_quantity += quantity
            self.day_buy_value += value
            signed = quantity
        else:
            self.day_sell_quantity += quantity
            self.day_sell_value += value
            signed = -quantity
        if before == 0 or (before > 0) == (signed > 0):
            self.open_value += value
            return
        closed = min(abs(before), quantity)
        cost = self.open_value * closed // abs(before)
        proceeds = closed * price
        self.realised += proceeds - cost if before > 0 else cost - proceeds
        self.open_value = self.open_value - cost if quantity <= abs(before) else (quantity - closed) * price

    def reducible(self, side: Side) -> int:
        """How much an order of this side would only close, beyond what open orders close already."""
        if side is Side.SELL:
            return max(0, self.net - self.pending_sell)
        return max(0, -self.net - self.pending_buy)

    def add_pending(self, side: Side, quantity: int) -> None:
        """Count (or, negative, uncount) unfilled order quantity."""
        if side is Side.BUY:
            self.pending_buy += quantity
        else:
            self.pending_sell += quantity

    def carry_over(self) -> None:
        """End the day: the net becomes the overnight quantity at its cost."""
        net = self.net
        self.overnight_quantity = net
        self.overnight_value = self.open_value
        self.day_buy_quantity = self.day_buy_value = self.day_sell_quantity = self.day_sell_value = 0
        self.pending_buy = self.pending_sell = 0
        self.realised = 0

    @property
    def is_empty(self) -> bool:
        """Whether the position has no trades and no quantity today."""
        return not (self.overnight_quantity or self.day_buy_quantity or self.day_sell_quantity)


@dataclass(slots=True)
class Holding:
    """Delivered shares. `used` were sold today and leave at the end of the day."""

    instrument: str
    quantity: int
    average_price: int
    t1_quantity: int = 0
    used: int = 0
