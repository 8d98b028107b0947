"""What the broker's risk desk and the exchange check before an order exists. Each raises Refusal."""

from decimal import Decimal

from simulator.exchange.accounts import Account
from simulator.exchange.funds import margin_unit, opening_quantity
from simulator.exchange.instruments import Instrument, Kind
from simulator.exchange.market import Market
from simulator.exchange.orders import OrderType, Product, Side
from simulator.exchange.protection import AUTOMATIC
from simulator.exchange.refusals import Reason, Refusal


def check_tradable(market: Market, *, product: Product, order_type: OrderType) -> None:
    """The instrument trades, with this product and this kind of order."""
    instrument = market.instrument
    if instrument.kind is Kind.INDEX:
        raise Refusal(Reason.NOT_TRADABLE, instrument=instrument.key)
    is_share = instrument.kind is Kind.EQUITY
    if (product is Product.CNC and not is_share) or (product is Product.NRML and is_share):
        raise Refusal(Reason.BAD_PRODUCT, product=product)
    # Stop-market orders: blocked on BSE, and for options on NSE since 27 September 2021.
    if order_type is OrderType.STOP_MARKET and (instrument.exchange == "BSE" or instrument.kind.is_option):
        raise Refusal(Reason.STOP_MARKET_NOT_ALLOWED)


def check_protection(order_type: OrderType, protection: Decimal | None) -> None:
    """Market and stop-market orders carry -1 or a percentage above 0 up to 100 (since 1 April 2026)."""
    if order_type not in (OrderType.MARKET, OrderType.STOP_MARKET):
        return
    if protection is None or not (protection == AUTOMATIC or 0 < protection <= 100):
        raise Refusal(Reason.NO_PROTECTION)


def check_quantity(instrument: Instrument, quantity: int, *, disclosed: int) -> None:
    """Positive, whole lots, not above the freeze quantity; a disclosed part between a tenth and the whole."""
    if quantity <= 0:
        raise Refusal(Reason.BAD_QUANTITY)
    if quantity % instrument.lot_size:
        raise Refusal(Reason.NOT_A_LOT, lot=instrument.lot_size)
    if quantity > instrument.freeze_quantity:
        raise Refusal(Reason.ABOVE_FREEZE, freeze=instrument.freeze_quantity)
    if disclosed and not (quantity <= 10 * disclosed and disclosed <= quantity):
        raise Refusal(Reason.BAD_DISCLOSED)


def check_price(market: Market, price: int) -> None:
    """On the tick and inside the circuit limits."""
    if price <= 0:
        raise Refusal(Reason.BAD_PRICE)
    if price % market.instrument.tick_size:
        raise Refusal(Reason.NOT_A_TICK, tick=market.instrument.tick_size)
    if price > market.upper_circuit:
        raise Refusal(Reason.ABOVE_CIRCUIT, limit=market.upper_circuit)
    if price < market.lower_circuit:
        raise Refusal(Reason.BELOW_CIRCUIT, limit=market.lower_circuit)


def check_trigger(market: Market, *, side: Side, order_type: OrderType, price: int, trigger_price: int) -> None:
    """On the right side of its own limit and of the last price."""
    if trigger_price <= 0:
        raise Refusal(Reason.BAD_TRIGGER)
    check_price(market, trigger_price)
    buying = side is Side.BUY
    if order_type is OrderType.STOP_LIMIT and (trigger_price > price if buying else trigger_price < price):
        raise Refusal(Reason.TRIGGER_BEYOND_LIMIT, side=side)
    if trigger_price <= market.last_price if buying else trigger_price >= market.last_price:
        raise Refusal(Reason.TRIGGER_ALREADY_HIT, side=side, last=market.last_price)


def check_prices(market: Market, *, side: Side, order_type: OrderType, price: int, trigger_price: int) -> None:
    """The prices this kind of order needs."""
    if order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        check_price(market, price)
    if order_type.waits_for_trigger:
        check_trigger(market, side=side, order_type=order_type, price=price, trigger_price=trigger_price)


def check_resources(account: Account, instrument: Instrument, *, side: Side, product: Product, quantity: int, price: int) -> None:
    """Shares to deliver for a delivery sell, funds for everything else. The order must not be blocked at this moment."""
    if product is Product.CNC and side is Side.SELL:
        sellable = account.sellable(instrument.key)
        if quantity > sellable:
            raise Refusal(Reason.NO_HOLDINGS, quantity=quantity, sellable=max(0, sellable))
        return
    opening = opening_quantity(account, instrument=instrument.key, side=side, product=product, quantity=quantity)
    required = opening * margin_unit(instrument, side=side, product=product, price=price)
    if required > 0 and required > account.available:
        raise Refusal(Reason.NO_FUNDS, required=required, available=account.available)
