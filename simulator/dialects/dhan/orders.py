"""Order endpoints (DhanHQ v2 documentation, "Orders", "Trades")."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace

import orjson

from simulator.clock import SECOND_NS
from simulator.dialects.common.reply import Reply
from simulator.dialects.dhan.call import Call
from simulator.dialects.dhan.errors import BUSY, DhanError, bad_input, no_such_order
from simulator.dialects.dhan.segments import SecurityIds
from simulator.dialects.dhan.shapes import ORDER_TYPES, PRODUCTS, SIDES, Row, Shapes, status_word
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.exchange.orders import ModifyRequest, Order, OrderRequest, OrderType, Validity
from simulator.exchange.placing import DEFAULT_REJECTION
from simulator.exchange.protection import AUTOMATIC
from simulator.exchange.refusals import Reason, Refusal

_LONGEST_TAG = 30
_TAG = re.compile(r"[A-Za-z0-9 _-]*\Z")
_MOST_SLICES = 10
_VALIDITIES = {"DAY": Validity.DAY, "IOC": Validity.IOC}
NOT_MODIFIED = "16346 : Order cannot be modified"
NOT_CANCELLED = "16115 : Order cannot be cancelled"
BROKER_CANCELLED = "Order cancelled by the broker's risk management."


def answer(data: object, *, status: int = 200) -> Reply:
    """A success: no envelope."""
    return Reply(orjson.dumps(data), status=status)


class OrderEndpoints:
    """Place, modify, cancel, and the books."""

    def __init__(self, exchange: Exchange, shapes: Shapes, ids: SecurityIds, *, may_trade: Callable[[Account], None]) -> None:
        """`may_trade` raises WireError for an account that takes no orders."""
        self._exchange = exchange
        self._shapes = shapes
        self._ids = ids
        self._may_trade = may_trade

    def place(self, call: Call) -> Reply:
        """`POST /orders`."""
        return answer(_taken(self._place(call, self._request(call))))

    def place_slices(self, call: Call) -> Reply:
        """`POST /orders/slicing`: above the freeze quantity an order becomes several."""
        request = self._request(call)
        freeze = self._exchange.market(request.instrument).instrument.freeze_quantity or request.quantity
        whole, rest = divmod(request.quantity, max(freeze, 1))
        sizes = [freeze] * whole + ([rest] if rest else [])
        if len(sizes) > _MOST_SLICES:
            raise bad_input(f"The order would need more than {_MOST_SLICES} slices.")
        return answer([_taken(self._exchange.place(replace(request, quantity=size), call.origin)) for size in sizes or [0]])

    def _place(self, call: Call, request: OrderRequest) -> Order:
        fault = call.behaviour
        if fault is not None and fault.kind == "reject_async":
            request = replace(request, reject_message=fault.settings.get("message", DEFAULT_REJECTION))
        elif fault is not None and fault.kind in ("partial", "never_fill"):
            request = replace(request, fill_cap=int(fault.settings.get("quantity", 0)) if fault.kind == "partial" else 0)
        order = self._exchange.place(request, call.origin)
        if fault is not None and fault.kind == "broker_cancel":
            self._cancel_later(order, seconds=fault.delay_ms / 1000, message=fault.settings.get("message", BROKER_CANCELLED))
        return order

    def _cancel_later(self, order: Order, *, seconds: float, message: str) -> None:
        if seconds <= 0:
            self._exchange.broker_cancel(order, message=message)
        else:
            asyncio.get_running_loop().call_later(seconds, lambda: self._exchange.broker_cancel(order, message=message))

    def _request(self, call: Call) -> OrderRequest:
        """An order from the fields of the place body. Raises DhanError, Refusal."""
        call.check_client()
        self._may_trade(call.account)
        tag = call.optional_text("correlationId")
        if tag is not None and (len(tag) > _LONGEST_TAG or not _TAG.match(tag)):
            raise bad_input("Invalid correlationId.")
        if call.given.get("afterMarketOrder"):
            raise bad_input("After market orders are not offered here.")
        market = self._ids.market(call.text("exchangeSegment"), call.text("securityId"))
        if market is None:
            raise Refusal(Reason.UNKNOWN_INSTRUMENT)
        order_type, price = call.choice("orderType", ORDER_TYPES), call.price("price") or 0
        if order_type is OrderType.MARKET and price:
            raise bad_input("Invalid Price for orderType.")
        return OrderRequest(
            account=call.account.api_key,
            instrument=market.instrument.key,
            side=call.choice("transactionType", SIDES),
            order_type=order_type,
            product=call.choice("productType", PRODUCTS),
            quantity=call.integer("quantity") or 0,
            price=price,
            trigger_price=call.price("triggerPrice") or 0,
            validity=call.choice("validity", _VALIDITIES),
            disclosed_quantity=call.integer("disclosedQuantity") or 0,
            protection=AUTOMATIC if order_type in (OrderType.MARKET, OrderType.STOP_MARKET) else None,
            tag=tag,
        )

    def modify(self, call: Call) -> Reply:
        """`PUT /orders/{order_id}`."""
        call.check_client()
        order_id = call.path("order_id")
        if call.optional_text("orderId") not in (None, order_id):
            raise bad_input("orderId in the body is another than in the address.")
        order_type = call.choice("orderType", ORDER_TYPES) if call.given.get("orderType") else None
        request = ModifyRequest(
            account=call.account.api_key,
            order_id=order_id,
            order_type=order_type,
            quantity=call.integer("quantity"),
            price=call.price("price"),
            # A client that fills in every field sends a zero where there is no trigger.
            trigger_price=call.price("triggerPrice") or None,
            validity=call.choice("validity", _VALIDITIES) if call.given.get("validity") else None,
            disclosed_quantity=call.integer("disclosedQuantity"),
            protection=AUTOMATIC if order_type in (OrderType.MARKET, OrderType.STOP_MARKET) else None,
        )
        fault = call.behaviour
        if fault is not None and fault.kind == "modify_refused":
            if not fault.settings.get("asynchronous"):
                raise DhanError(400, "DH-906", fault.settings.get("message", BUSY))
            message = fault.settings.get("message", NOT_MODIFIED)
            return answer(_taken(self._exchange.refuse_modification(request, call.origin, message=message)))
        return answer(_taken(self._exchange.modify(request, call.origin)))

    def cancel(self, call: Call) -> Reply:
        """`DELETE /orders/{order_id}`: accepted with 202."""
        account, order_id, fault = call.account.api_key, call.path("order_id"), call.behaviour
        if fault is not None and fault.kind == "cancel_refused":
            if not fault.settings.get("asynchronous"):
                raise DhanError(400, "DH-906", fault.settings.get("message", BUSY))
            message = fault.settings.get("message", NOT_CANCELLED)
            self._exchange.refuse_cancellation(account=account, order_id=order_id, origin=call.origin, message=message)
        else:
            self._exchange.cancel(account=account, order_id=order_id, origin=call.origin)
        return answer({"orderId": order_id, "orderStatus": "CANCELLED"}, status=202)

    def book(self, call: Call) -> Reply:
        """`GET /orders`."""
        if call.behaviour is not None and call.behaviour.kind == "stale_book":
            return answer(self._book_of(call, seconds=float(call.behaviour.settings.get("seconds", 5))))
        return Reply(b"[" + b",".join(self._shapes.order_bytes(order) for order in call.account.orders) + b"]")

    def _book_of(self, call: Call, *, seconds: float) -> list[Row]:
        then = self._exchange.clock() - int(seconds * SECOND_NS)
        rows = []
        for order in call.account.orders:
            known = [snapshot for snapshot in order.history if snapshot.at_ns <= then]
            if known:
                rows.append(self._shapes.order(order, known[-1]))
        return rows

    def one(self, call: Call) -> Reply:
        """`GET /orders/{order_id}`."""
        order = self._own_order(call)
        return answer(self._shapes.order(order, order.history[-1]))

    def by_correlation_id(self, call: Call) -> Reply:
        """`GET /orders/external/{correlation_id}`."""
        found = [order for order in call.account.orders if order.tag == call.path("correlation_id")]
        if not found:
            raise no_such_order()
        return answer([self._shapes.order(order, order.history[-1]) for order in found])

    def trades(self, call: Call) -> Reply:
        """`GET /trades`."""
        return answer([self._shapes.trade(trade) for trade in call.account.trades])

    def order_trades(self, call: Call) -> Reply:
        """`GET /trades/{order_id}`."""
        order = self._own_order(call)
        return answer([self._shapes.trade(trade) for trade in call.account.trades if trade.order_id == order.order_id])

    def _own_order(self, call: Call) -> Order:
        order = self._exchange.orders.get(call.path("order_id"))
        if order is None or order.account != call.account.api_key:
            raise no_such_order()
        return order


def _taken(order: Order) -> Row:
    """Seen so on the wire: on its way, or rejected at once."""
    word = status_word(order.history[-1])
    return {"orderId": order.order_id, "orderStatus": "REJECTED" if word == "REJECTED" else "TRANSIT"}
