"""Margin: what an order or a position blocks, in basis points of its value."""

from simulator.exchange.accounts import Account
from simulator.exchange.instruments import Instrument, Kind
from simulator.exchange.orders import Order, Product, Side
from simulator.exchange.positions import Position

_FULL = 10_000
_INTRADAY_SHARES = 2_000
"""Five times leverage."""
_DERIVATIVES = 1_500
_STRIKE_VALUE_OF_SHORT_OPTION = 1_200


def margin_unit(instrument: Instrument, *, side: Side, product: Product, price: int) -> int:
    """What one unit of newly opened quantity blocks, in price units (rounded up)."""
    if product is Product.CNC:
        return price if side is Side.BUY else 0
    if instrument.kind.is_option:
        return price if side is Side.BUY else -(-instrument.strike * _STRIKE_VALUE_OF_SHORT_OPTION // _FULL)
    return -(-price * _rate(instrument) // _FULL)


def _rate(instrument: Instrument) -> int:
    return _DERIVATIVES if instrument.kind is Kind.FUTURE else _INTRADAY_SHARES


def position_margin(instrument: Instrument, position: Position) -> int:
    """What an open position blocks. Delivery positions are paid in full through the cash flow instead."""
    if position.product is Product.CNC or position.net == 0:
        return 0
    if instrument.kind.is_option:
        if position.net > 0:
            return position.open_value
        return -position.net * margin_unit(instrument, side=Side.SELL, product=position.product, price=0)
    return -(-position.open_value * _rate(instrument) // _FULL)


def opening_quantity(account: Account, *, instrument: str, side: Side, product: Product, quantity: int) -> int:
    """The part of an order that would open a position instead of closing one."""
    if product is Product.CNC:
        return quantity
    position = account.positions.get((instrument, product))
    return quantity if position is None else max(0, quantity - position.reducible(side))


def block(account: Account, order: Order, instrument: Instrument) -> None:
    """Reserve an accepted order's pending quantity and margin."""
    position = account.position(order.instrument, order.product)
    order.opening_left = opening_quantity(
        account, instrument=order.instrument, side=order.side, product=order.product, quantity=order.pending
    )
    order.margin_unit = margin_unit(instrument, side=order.side, product=order.product, price=order.price or order.trigger_price)
    position.add_pending(order.side, order.pending)
    account.order_margin += order.opening_left * order.margin_unit


def release(account: Account, order: Order, *, pending: int) -> None:
    """Give back what an order still holds: its unfilled quantity and margin."""
    account.position(order.instrument, order.product).add_pending(order.side, -pending)
    account.order_margin -= order.opening_left * order.margin_unit
    order.opening_left = 0


def settle(account: Account, order: Order, instrument: Instrument, *, quantity: int, price: int) -> None:
    """Move a fill from the order's reservation into the position and the funds. Call before the order counts the fill."""
    position = account.position(order.instrument, order.product)
    position.add_pending(order.side, -quantity)
    remaining_opening = min(order.opening_left, order.pending - quantity)
    account.order_margin -= (order.opening_left - remaining_opening) * order.margin_unit
    order.opening_left = remaining_opening
    count_trade(account, position, instrument, side=order.side, quantity=quantity, price=price)


def count_trade(account: Account, position: Position, instrument: Instrument, *, side: Side, quantity: int, price: int) -> None:
    """Let a trade change the position, its margin and the cash. Also used to rebuild an account from its trades."""
    margin_before, realised_before = position_margin(instrument, position), position.realised
    position.apply(side, quantity, price)
    account.position_margin += position_margin(instrument, position) - margin_before
    if position.product is Product.CNC:
        account.cash_flow += quantity * price * (-1 if side is Side.BUY else 1)
    else:
        account.realised += position.realised - realised_before
