"""Modifying and cancelling open orders."""

from dataclasses import dataclass

from simulator.exchange import checks, funds
from simulator.exchange.core import Core
from simulator.exchange.events import OrderCancelRequested, OrderModified
from simulator.exchange.market import Market
from simulator.exchange.matching import enter_market
from simulator.exchange.orders import ModifyRequest, Order, OrderType, Origin, Status, Validity
from simulator.exchange.protection import protected_price
from simulator.exchange.refusals import Reason, Refusal

MAXIMUM_MODIFICATIONS = 25


def open_order(core: Core, *, account: str, order_id: str) -> Order:
    """The account's own open order. Raises Refusal UNKNOWN_ORDER or ORDER_DONE."""
    order = core.orders.get(order_id)
    if order is None or order.account != account:
        raise Refusal(Reason.UNKNOWN_ORDER, order_id=order_id)
    if not order.is_open:
        raise Refusal(Reason.ORDER_DONE, status=order.status)
    return order


def modify(core: Core, request: ModifyRequest, origin: Origin) -> Order:
    """Change an open order and let it trade again. Raises Refusal; then the order is as it was."""
    order = open_order(core, account=request.account, order_id=request.order_id)
    if order.modifications >= MAXIMUM_MODIFICATIONS:
        raise Refusal(Reason.TOO_MANY_MODIFICATIONS)
    market = core.market(order.instrument)
    terms = new_terms(order, request, market)
    check_terms(order, terms, market)
    _check_resources(core, order, terms, market)
    core.unrest(order)
    core.events.append(OrderModified(order, origin))
    core.walk(order, Status.MODIFY_VALIDATION_PENDING, Status.MODIFY_PENDING)
    funds.release(core.accounts[order.account], order, pending=order.pending)
    if terms.lose_priority(order):
        order.priority = core.next_priority()
    terms.put_into(order)
    funds.block(core.accounts[order.account], order, market.instrument)
    order.modifications += 1
    order.exchange_at_ns = core.clock()
    core.walk(order, Status.MODIFIED)
    if terms.waits:
        core.walk(order, Status.TRIGGER_PENDING)
        core.rest(order)
    else:
        core.walk(order, Status.OPEN)
        enter_market(core, order)
    return order


def _check_resources(core: Core, order: Order, terms: "Terms", market: Market) -> None:
    account = core.accounts[order.account]
    funds.release(account, order, pending=order.pending)
    try:
        checks.check_resources(
            account,
            market.instrument,
            side=order.side,
            product=order.product,
            quantity=terms.quantity - order.filled,
            price=terms.price or terms.trigger_price,
        )
    finally:
        funds.block(account, order, market.instrument)


def refuse_modification(core: Core, request: ModifyRequest, origin: Origin, *, message: str) -> Order:
    """Accept a modification and let the exchange refuse it afterwards: the order stays as it was."""
    order = open_order(core, account=request.account, order_id=request.order_id)
    core.events.append(OrderModified(order, origin))
    status = order.status
    core.walk(order, Status.MODIFY_VALIDATION_PENDING, Status.MODIFY_PENDING)
    order.message = order.message_raw = message
    core.walk(order, Status.NOT_MODIFIED, status)
    return order


def cancel(core: Core, *, account: str, order_id: str, origin: Origin) -> Order:
    """Cancel an open order at its owner's wish. Raises Refusal."""
    order = open_order(core, account=account, order_id=order_id)
    core.events.append(OrderCancelRequested(order, origin))
    core.walk(order, Status.CANCEL_PENDING)
    core.cancel_rest(order)
    return order


def refuse_cancellation(core: Core, *, account: str, order_id: str, origin: Origin, message: str) -> Order:
    """Accept a cancellation and let the exchange refuse it afterwards: the order stays open."""
    order = open_order(core, account=account, order_id=order_id)
    core.events.append(OrderCancelRequested(order, origin))
    status = order.status
    core.walk(order, Status.CANCEL_PENDING)
    order.message = order.message_raw = message
    core.walk(order, Status.NOT_CANCELLED, status)
    return order


@dataclass(frozen=True, slots=True)
class Terms:
    """The changeable fields of an order as a modification wants them; `waits` for a trigger that has not fired."""

    order_type: OrderType
    price: int
    trigger_price: int
    validity: Validity
    quantity: int
    disclosed_quantity: int
    market_protection: str
    waits: bool

    def lose_priority(self, order: Order) -> bool:
        """Only a smaller quantity keeps the place in the queue."""
        return self.price != order.price or self.order_type is not order.order_type or self.quantity > order.quantity

    def put_into(self, order: Order) -> None:
        """Let the order have these terms."""
        order.order_type, order.price, order.trigger_price = self.order_type, self.price, self.trigger_price
        order.validity, order.quantity = self.validity, self.quantity
        order.disclosed_quantity, order.market_protection = self.disclosed_quantity, self.market_protection


def new_terms(order: Order, request: ModifyRequest, market: Market) -> Terms:
    """The present terms with the requested changes; a change to MARKET becomes a limit at the band's edge."""
    order_type = request.order_type or order.order_type
    price = order.price if request.price is None else request.price
    protection = order.market_protection
    if order_type is OrderType.MARKET:
        checks.check_protection(order_type, request.protection)
        order_type = OrderType.LIMIT
        price = protected_price(market, side=order.side, percent=str(request.protection))
    elif order_type is OrderType.STOP_MARKET and (request.protection is not None or order.order_type is not order_type):
        checks.check_protection(order_type, request.protection)
        price, protection = 0, str(request.protection)
    has_triggered = order.status is Status.OPEN and order.order_type is order_type
    trigger_price = order.trigger_price if request.trigger_price is None else request.trigger_price
    return Terms(
        order_type=order_type,
        price=price,
        trigger_price=trigger_price if order_type.waits_for_trigger else 0,
        validity=request.validity or order.validity,
        quantity=order.quantity if request.quantity is None else request.quantity,
        disclosed_quantity=order.disclosed_quantity if request.disclosed_quantity is None else request.disclosed_quantity,
        market_protection=protection,
        waits=order_type.waits_for_trigger and not has_triggered,
    )


def check_terms(order: Order, terms: Terms, market: Market) -> None:
    """Raise Refusal if the order may not have these terms."""
    checks.check_tradable(market, product=order.product, order_type=terms.order_type)
    checks.check_quantity(market.instrument, terms.quantity, disclosed=terms.disclosed_quantity)
    if terms.quantity <= order.filled:
        raise Refusal(Reason.BELOW_FILLED, filled=order.filled)
    if terms.waits and order.filled:
        raise Refusal(Reason.BAD_TRIGGER)
    checks.check_prices(
        market,
        side=order.side,
        order_type=terms.order_type if terms.waits else OrderType.LIMIT,
        price=terms.price,
        trigger_price=terms.trigger_price,
    )
