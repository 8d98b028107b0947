"""Order endpoints (Kite Connect v3 documentation, "Orders")."""

import asyncio
from dataclasses import replace

from simulator.clock import SECOND_NS
from simulator.dialects.common.reply import Reply
from simulator.dialects.kite.call import Call
from simulator.dialects.kite.envelope import KiteError, input_error, refusal_error, success, success_list
from simulator.dialects.kite.shapes import Row, Shapes
from simulator.exchange.engine import Exchange
from simulator.exchange.orders import ModifyRequest, Order, OrderRequest, OrderType, Product, Side, Validity
from simulator.exchange.placing import DEFAULT_REJECTION
from simulator.exchange.refusals import Reason, Refusal

_VARIETIES = {"regular", "amo", "co", "iceberg", "auction"}
_LONGEST_TAG = 20
_MOST_SLICES = 10
BUSY = "Order cannot be modified as it is being processed. Try later."
BUSY_CANCELLING = "Order cannot be cancelled as it is being processed. Try later."
NOT_MODIFIED = "16346 : Order cannot be modified"
NOT_CANCELLED = "16115 : Order cannot be cancelled"
BROKER_CANCELLED = "Order cancelled by the broker's risk management."


class OrderEndpoints:
    """Place, modify, cancel, and the books."""

    def __init__(self, exchange: Exchange, shapes: Shapes) -> None:
        self._exchange = exchange
        self._shapes = shapes

    def place(self, call: Call) -> Reply:
        """`POST /orders/{variety}`."""
        _check_variety(call.path("variety"))
        request = parse_order(call, call.account.api_key)
        fault = call.behaviour
        if fault is not None:
            if fault.kind == "reject_async":
                request = replace(request, reject_message=fault.settings.get("message", DEFAULT_REJECTION))
            elif fault.kind in ("partial", "never_fill"):
                request = replace(request, fill_cap=int(fault.settings.get("quantity", 0)) if fault.kind == "partial" else 0)
        if call.fields.get("autoslice") == "true":
            return success(self._place_slices(call, request))
        order = self._exchange.place(request, call.origin)
        if fault is not None and fault.kind == "broker_cancel":
            self._cancel_later(order, seconds=fault.delay_ms / 1000, message=fault.settings.get("message", BROKER_CANCELLED))
        return success({"order_id": order.order_id})

    def _place_slices(self, call: Call, request: OrderRequest) -> Row:
        freeze = self._exchange.market(request.instrument).instrument.freeze_quantity
        if not freeze or request.quantity <= freeze:
            return {"order_id": self._exchange.place(request, call.origin).order_id}
        whole, rest = divmod(request.quantity, freeze)
        sizes = [freeze] * whole + ([rest] if rest else [])
        if len(sizes) > _MOST_SLICES:
            raise input_error(f"The order would need more than {_MOST_SLICES} slices.")
        tagged = replace(request, quantity=sizes[0], system_tags=("autoslice",))
        parent = self._exchange.place(tagged, call.origin).order_id
        children: list[Row] = []
        for size in sizes[1:]:
            child = replace(request, quantity=size, system_tags=("autoslice", f"autoslice:{parent}"))
            try:
                children.append({"order_id": self._exchange.place(child, call.origin).order_id})
            except Refusal as refusal:
                error = refusal_error(refusal)
                children.append({"error": {
                    "code": error.status, "error_type": error.error_type, "message": error.message, "data": None,
                }})  # fmt: skip
        return {"order_id": parent, "children": children}

    def _cancel_later(self, order: Order, *, seconds: float, message: str) -> None:
        if seconds <= 0:
            self._exchange.broker_cancel(order, message=message)
        else:
            loop = asyncio.get_running_loop()
            loop.call_later(seconds, lambda: self._exchange.broker_cancel(order, message=message))

    def modify(self, call: Call) -> Reply:
        """`PUT /orders/{variety}/{order_id}`."""
        _check_variety(call.path("variety"))
        request = ModifyRequest(
            account=call.account.api_key,
            order_id=call.path("order_id"),
            order_type=call.optional_choice("order_type", OrderType),
            quantity=call.integer("quantity"),
            price=call.price("price"),
            trigger_price=call.price("trigger_price"),
            validity=call.optional_choice("validity", Validity),
            disclosed_quantity=call.integer("disclosed_quantity"),
            protection=call.number("market_protection"),
        )
        if call.behaviour is not None and call.behaviour.kind == "modify_refused":
            if not call.behaviour.settings.get("asynchronous"):
                raise input_error(call.behaviour.settings.get("message", BUSY))
            message = call.behaviour.settings.get("message", NOT_MODIFIED)
            order = self._exchange.refuse_modification(request, call.origin, message=message)
        else:
            order = self._exchange.modify(request, call.origin)
        return success({"order_id": order.order_id})

    def cancel(self, call: Call) -> Reply:
        """`DELETE /orders/{variety}/{order_id}`."""
        _check_variety(call.path("variety"))
        account, order_id = call.account.api_key, call.path("order_id")
        if call.behaviour is not None and call.behaviour.kind == "cancel_refused":
            if not call.behaviour.settings.get("asynchronous"):
                raise input_error(call.behaviour.settings.get("message", BUSY_CANCELLING))
            message = call.behaviour.settings.get("message", NOT_CANCELLED)
            self._exchange.refuse_cancellation(account=account, order_id=order_id, origin=call.origin, message=message)
        else:
            self._exchange.cancel(account=account, order_id=order_id, origin=call.origin)
        return success({"order_id": order_id})

    def book(self, call: Call) -> Reply:
        """`GET /orders`."""
        if call.behaviour is not None and call.behaviour.kind == "stale_book":
            return success(self._book_of(call, seconds=float(call.behaviour.settings.get("seconds", 5))))
        return success_list([self._shapes.order_bytes(order) for order in call.account.orders])

    def _book_of(self, call: Call, *, seconds: float) -> list[Row]:
        then = self._exchange.clock() - int(seconds * SECOND_NS)
        rows = []
        for order in call.account.orders:
            known = [snapshot for snapshot in order.history if snapshot.at_ns <= then]
            if known:
                rows.append(self._shapes.order(order, known[-1]))
        return rows

    def history(self, call: Call) -> Reply:
        """`GET /orders/{order_id}`."""
        return success(self._shapes.history(self._own_order(call)))

    def order_trades(self, call: Call) -> Reply:
        """`GET /orders/{order_id}/trades`."""
        order = self._own_order(call)
        return success([self._shapes.trade(trade) for trade in call.account.trades if trade.order_id == order.order_id])

    def trades(self, call: Call) -> Reply:
        """`GET /trades`."""
        return success([self._shapes.trade(trade) for trade in call.account.trades])

    def _own_order(self, call: Call) -> Order:
        order = self._exchange.orders.get(call.path("order_id"))
        if order is None or order.account != call.account.api_key:
            raise Refusal(Reason.UNKNOWN_ORDER)
        return order


def parse_order(call: Call, api_key: str) -> OrderRequest:
    """An order from the fields of the place form. Raises KiteError."""
    tag = call.fields.get("tag") or None
    if tag is not None and len(tag) > _LONGEST_TAG:
        raise input_error(f"Invalid `tag`. It should be at most {_LONGEST_TAG} characters.")
    order_type = call.choice("order_type", OrderType)
    required = {
        OrderType.LIMIT: ("price",), OrderType.STOP_LIMIT: ("price", "trigger_price"), OrderType.STOP_MARKET: ("trigger_price",),
    }  # fmt: skip
    for name in required.get(order_type, ()):
        call.required(name)
    call.required("quantity")
    return OrderRequest(
        account=api_key,
        instrument=f"{call.required('exchange')}:{call.required('tradingsymbol')}",
        side=call.choice("transaction_type", Side),
        order_type=order_type,
        product=call.choice("product", Product),
        quantity=call.integer("quantity") or 0,
        price=call.price("price") or 0,
        trigger_price=call.price("trigger_price") or 0,
        validity=call.optional_choice("validity", Validity) or Validity.DAY,
        disclosed_quantity=call.integer("disclosed_quantity") or 0,
        protection=call.number("market_protection"),
        tag=tag,
    )


def _check_variety(variety: str) -> None:
    if variety not in _VARIETIES:
        raise KiteError(400, "InputException", "Invalid `variety`.")
    if variety != "regular":
        raise input_error(f"Orders of the variety {variety} are not offered here. Use regular.")
