"""Accepting a new order."""

from dataclasses import replace

from simulator.exchange import checks, funds
from simulator.exchange.core import Core
from simulator.exchange.events import OrderPlaced
from simulator.exchange.market import Market
from simulator.exchange.matching import enter_market
from simulator.exchange.orders import Order, OrderRequest, OrderType, Origin, Status
from simulator.exchange.protection import protected_price, protection_percent

DEFAULT_REJECTION = "16283 : The order was rejected by the exchange."


def place(core: Core, request: OrderRequest, origin: Origin) -> Order:
    """Check a request, accept it and let it trade. Raises Refusal; then no trace of it is left."""
    market = core.market(request.instrument)
    checks.check_tradable(market, product=request.product, order_type=request.order_type)
    checks.check_protection(request.order_type, request.protection)
    checks.check_quantity(market.instrument, request.quantity, disclosed=request.disclosed_quantity)
    request = market_as_limit(market, request)
    checks.check_prices(
        market, side=request.side, order_type=request.order_type, price=request.price, trigger_price=request.trigger_price
    )
    account = core.accounts[request.account]
    if request.reject_message is None:
        checks.check_resources(
            account,
            market.instrument,
            side=request.side,
            product=request.product,
            quantity=request.quantity,
            price=request.price or request.trigger_price,
        )
    if request.reject_message is not None:
        return place_rejected(core, request, origin, message=request.reject_message)
    order = _take(core, request, origin)
    funds.block(account, order, market.instrument)
    core.walk(order, Status.OPEN_PENDING)
    order.exchange_order_id = core.next_exchange_order_id()
    order.exchange_at_ns = core.clock()
    order.priority = core.next_priority()
    if order.order_type.waits_for_trigger:
        core.walk(order, Status.TRIGGER_PENDING)
        core.rest(order)
    else:
        core.walk(order, Status.OPEN)
        enter_market(core, order)
    return order


def place_rejected(core: Core, request: OrderRequest, origin: Origin, *, message: str) -> Order:
    """Accept a request that is then rejected, whatever it asks for. Raises Refusal for an unknown instrument."""
    core.market(request.instrument)
    order = _take(core, request, origin)
    order.message = order.message_raw = message
    core.walk(order, Status.REJECTED)
    return order


def _take(core: Core, request: OrderRequest, origin: Origin) -> Order:
    """From here on it has an id and is in the book."""
    order = _new_order(core, request)
    core.orders[order.order_id] = order
    core.accounts[request.account].orders.append(order)
    core.events.append(OrderPlaced(order, origin))
    core.walk(order, Status.RECEIVED, Status.VALIDATION_PENDING)
    return order


def market_as_limit(market: Market, request: OrderRequest) -> OrderRequest:
    """A market order with protection enters the book as a limit order at the edge of its band."""
    if request.order_type is not OrderType.MARKET or request.protection is None:
        return request
    percent = protection_percent(market, request.protection)
    return replace(
        request,
        order_type=OrderType.LIMIT,
        price=protected_price(market, side=request.side, percent=str(percent)),
        protection=None,
        system_tags=("mktp", f"mktp:{percent:.2f}", *request.system_tags),
    )


def _new_order(core: Core, request: OrderRequest) -> Order:
    own = (request.tag,) if request.tag else ()
    return Order(
        order_id=core.next_order_id(),
        account=request.account,
        instrument=request.instrument,
        side=request.side,
        product=request.product,
        tag=request.tag,
        tags=own + request.system_tags,
        placed_by=core.accounts[request.account].user_id,
        via_api=request.via_api,
        created_ns=core.clock(),
        order_type=request.order_type,
        price=request.price if request.order_type is not OrderType.STOP_MARKET else 0,
        trigger_price=request.trigger_price if request.order_type.waits_for_trigger else 0,
        validity=request.validity,
        quantity=request.quantity,
        disclosed_quantity=request.disclosed_quantity,
        market_protection="0" if request.protection is None else str(request.protection),
        fill_cap=request.fill_cap,
    )
