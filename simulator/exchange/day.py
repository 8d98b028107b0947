"""The end of a trading day: open orders expire, positions carry over, the books start empty."""

from simulator.clock import india_day
from simulator.exchange import funds
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.exchange.orders import Product, Side
from simulator.exchange.positions import Holding, Position

EXPIRED = "Order expired at the end of the day."


def roll_day(exchange: Exchange) -> None:
    """End the day. Delivery buys become holdings, intraday positions are closed at the last price by the broker."""
    for order in [order for order in exchange.orders.values() if order.is_open]:
        exchange.broker_cancel(order, message=EXPIRED)
    for account in exchange.accounts.values():
        for position in list(account.positions.values()):
            _carry(exchange, account, position)
        account.positions = {key: position for key, position in account.positions.items() if position.net}
        account.funds += account.cash_flow + account.realised
        account.cash_flow = account.realised = account.order_margin = 0
        account.orders, account.trades = [], []
    exchange.orders.clear()
    exchange.ledger.clear()
    for market in exchange.markets.values():
        market.begin_day()
    exchange.trading_day = india_day(exchange.clock())


def _carry(exchange: Exchange, account: Account, position: Position) -> None:
    market = exchange.markets[position.instrument]
    if position.product is Product.CNC:
        _deliver(account, position)
        del account.positions[(position.instrument, position.product)]
        return
    if position.product is Product.MIS and position.net:
        side = Side.SELL if position.net > 0 else Side.BUY
        funds.count_trade(account, position, market.instrument, side=side, quantity=abs(position.net), price=market.last_price)
    position.carry_over()


def _deliver(account: Account, position: Position) -> None:
    holding = account.holdings.get(position.instrument)
    held, value = (0, 0) if holding is None else (holding.quantity + holding.t1_quantity, 0)
    if holding is not None:
        value = held * holding.average_price
    net = position.net
    if net > 0:
        value += position.open_value
    left = held + net
    if left <= 0:
        account.holdings.pop(position.instrument, None)
        return
    price = value // (held + max(net, 0))
    account.holdings[position.instrument] = Holding(position.instrument, left, price)
