"""Price-time matching against the maker and against other accounts."""

from simulator.exchange.core import Core
from simulator.exchange.market import Market
from simulator.exchange.orders import Order, OrderType, Side, Status, Validity
from simulator.exchange.protection import protected_price

SELF_TRADE = "17071 : The order could have traded with another order of the same client (self trade prevention)"
IOC_UNMATCHED = "16388 : Unmatched quantity of the immediate-or-cancel order cancelled by the exchange"


def enter_market(core: Core, order: Order) -> None:
    """Let an open order trade at once, then rest, or lose its remainder if it is immediate-or-cancel."""
    market = core.markets[order.instrument]
    _match(core, market, order)
    if not order.is_open or order.pending == 0:
        return
    if order.validity is Validity.IOC:
        core.cancel_rest(order, message="Order cancelled by the exchange: nothing left to match.", raw=IOC_UNMATCHED)
    else:
        core.rest(order)


def price_moved(core: Core, market: Market) -> None:
    """React to a new last price: fill the resting orders it has reached at their own limits, then fire triggers.

    In that order, because a price trades only once every better order that rested on the way has been filled.
    """
    for side in (Side.BUY, Side.SELL):
        for order in market.resting[side].crossing(market.maker_price(side.other)):
            quantity = min(order.can_fill, market.maker_left[side.other])
            if quantity > 0:
                _trade_with_maker(core, market, order, quantity=quantity, price=order.price)
    for order in market.triggers.take_hit(market.last_price):
        order.rests_in = ""
        activate(core, order)


def activate(core: Core, order: Order) -> None:
    """A stop order's trigger has traded: it becomes a limit order now."""
    market = core.markets[order.instrument]
    if order.order_type is OrderType.STOP_MARKET:
        order.order_type = OrderType.LIMIT
        order.price = protected_price(market, side=order.side, percent=order.market_protection)
    order.priority = core.next_priority()
    core.walk(order, Status.OPEN)
    enter_market(core, order)


def _match(core: Core, market: Market, order: Order) -> None:
    for resting in market.resting[order.side.other].crossing(order.price):
        if _maker_is_better(market, order, resting.price):
            _take_from_maker(core, market, order)
        if order.can_fill == 0:
            return
        if resting.account == order.account:
            core.cancel_rest(order, message="Order cancelled by the exchange: self trade prevention.", raw=SELF_TRADE)
            return
        quantity = min(order.can_fill, resting.can_fill)
        if quantity > 0:
            market.count_trade(quantity, resting.price, core.clock())
            core.fill(resting, quantity=quantity, price=resting.price)
            core.fill(order, quantity=quantity, price=resting.price)
    _take_from_maker(core, market, order)


def _maker_is_better(market: Market, order: Order, price: int) -> bool:
    maker = market.maker_price(order.side.other)
    return maker < price if order.side is Side.BUY else maker > price


def _take_from_maker(core: Core, market: Market, order: Order) -> None:
    quantity = min(order.can_fill, market.maker_left[order.side.other])
    price = market.maker_price(order.side.other)
    if quantity > 0 and order.crosses(price):
        _trade_with_maker(core, market, order, quantity=quantity, price=price)


def _trade_with_maker(core: Core, market: Market, order: Order, *, quantity: int, price: int) -> None:
    if market.depth is not None:
        market.maker_left[order.side.other] -= quantity
    market.count_trade(quantity, price, core.clock())
    core.fill(order, quantity=quantity, price=price)
