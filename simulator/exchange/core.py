"""The engine's state and the few primitive steps by which it changes."""

from collections.abc import Callable

from simulator.clock import india_day, now_ns
from simulator.exchange import funds
from simulator.exchange.accounts import Account
from simulator.exchange.events import Conversion, Event, Filled, OrderChanged
from simulator.exchange.market import Market
from simulator.exchange.orders import Order, Product, Side, Status, Trade
from simulator.exchange.refusals import Reason, Refusal

_FIRST_EXCHANGE_ORDER = 1_300_000_000_000_000
_FIRST_TRADE = 10_000_000


class Core:
    """Accounts, markets, orders, trades. Every change of an order goes through here and leaves an event."""

    def __init__(self, *, clock: Callable[[], int] = now_ns) -> None:
        self.clock = clock
        self.accounts: dict[str, Account] = {}
        self.markets: dict[str, Market] = {}
        self.orders: dict[str, Order] = {}
        self.ledger: list[Trade | Conversion] = []
        self.events: list[Event] = []
        self.trading_day = india_day(clock())
        self.last_order_number = 0
        self.last_exchange_number = _FIRST_EXCHANGE_ORDER
        self.last_trade_number = _FIRST_TRADE
        self.last_priority = 0

    def market(self, instrument: str) -> Market:
        """The market of `EXCHANGE:SYMBOL`. Raises Refusal UNKNOWN_INSTRUMENT."""
        found = self.markets.get(instrument)
        if found is None:
            raise Refusal(Reason.UNKNOWN_INSTRUMENT, instrument=instrument)
        return found

    def next_order_id(self) -> str:
        """19-digit ids that grow with time, also across restarts."""
        number = max(self.last_order_number + 1, (self.clock() // 1_000_000) << 20)
        self.last_order_number = number
        return str(number)

    def next_exchange_order_id(self) -> str:
        """16-digit ids of the exchange."""
        self.last_exchange_number += 1
        return str(self.last_exchange_number)

    def next_priority(self) -> int:
        """The next place in the queue."""
        self.last_priority += 1
        return self.last_priority

    def walk(self, order: Order, *statuses: Status) -> None:
        """Lead an order through states, one snapshot and event each."""
        for status in statuses:
            order.status = status
            snapshot = order.snapshot(self.clock())
            order.history.append(snapshot)
            self.events.append(OrderChanged(order, snapshot))

    def rest(self, order: Order) -> None:
        """Queue the order in the book, or with the triggers while it waits for its price."""
        market = self.markets[order.instrument]
        if order.status is Status.TRIGGER_PENDING:
            market.triggers.add(order)
            order.rests_in = "triggers"
        else:
            market.resting[order.side].add(order)
            order.rests_in = "book"

    def unrest(self, order: Order) -> None:
        """Take the order out of wherever it waits."""
        market = self.markets[order.instrument]
        if order.rests_in == "triggers":
            market.triggers.remove(order)
        elif order.rests_in == "book":
            market.resting[order.side].remove(order)
        order.rests_in = ""

    def fill(self, order: Order, *, quantity: int, price: int) -> None:
        """Trade part of an order at a price."""
        now = self.clock()
        account, market = self.accounts[order.account], self.markets[order.instrument]
        funds.settle(account, order, market.instrument, quantity=quantity, price=price)
        order.filled += quantity
        order.filled_value += quantity * price
        order.exchange_at_ns = now
        self.last_trade_number += 1
        trade = Trade(
            str(self.last_trade_number),
            order.order_id,
            order.account,
            order.instrument,
            order.side,
            order.product,
            quantity,
            price,
            now,
            order.exchange_order_id or "",
            order.created_ns,
        )
        account.trades.append(trade)
        self.ledger.append(trade)
        self.events.append(Filled(order, trade))
        if order.pending == 0 and order.rests_in:
            self.unrest(order)
        self.walk(order, Status.COMPLETE if order.pending == 0 else Status.OPEN)

    def cancel_rest(self, order: Order, *, message: str | None = None, raw: str | None = None) -> None:
        """Cancel what is left of an open order."""
        self.unrest(order)
        funds.release(self.accounts[order.account], order, pending=order.pending)
        order.cancelled = order.pending
        order.message, order.message_raw = message, raw if raw is not None else message
        order.exchange_at_ns = self.clock()
        self.walk(order, Status.CANCELLED)

    def convert(self, conversion: Conversion) -> None:
        """Apply a product conversion: the old product loses the quantity at the price, the new one gains it."""
        apply_conversion(self.accounts[conversion.account], conversion, self.markets[conversion.instrument])
        self.ledger.append(conversion)
        self.events.append(conversion)


def apply_conversion(account: Account, conversion: Conversion, market: Market) -> None:
    """Move quantity between products without touching orders or trades."""

    side = Side(conversion.side)
    for product, direction in ((conversion.old_product, side.other), (conversion.new_product, side)):
        position = account.position(conversion.instrument, Product(product))
        funds.count_trade(
            account, position, market.instrument, side=direction, quantity=conversion.quantity, price=conversion.price
        )
