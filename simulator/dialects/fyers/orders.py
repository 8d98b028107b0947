"""Order endpoints (Fyers API v3 documentation, "Order placement", "Other transactions", "Order book", "Trade book")."""

import asyncio
import re
from dataclasses import replace
from typing import Any

import orjson

from simulator.clock import SECOND_NS
from simulator.dialects.common.reply import Reply
from simulator.dialects.fyers.call import Call, FyersReader
from simulator.dialects.fyers.envelope import FyersError, input_error, not_allowed, problem, refusal_error, success
from simulator.dialects.fyers.shapes import PRODUCTS, SIDES, TYPES, Shapes, fyers_id, tag_text
from simulator.dialects.fyers.symbols import SymbolMap
from simulator.exchange.engine import Exchange
from simulator.exchange.orders import ModifyRequest, Order, OrderRequest, OrderType, Origin, Snapshot, Validity
from simulator.exchange.placing import DEFAULT_REJECTION
from simulator.exchange.protection import AUTOMATIC
from simulator.exchange.refusals import Reason, Refusal

PLACED, MODIFIED, CANCELLED = 1101, 1102, 1103
BUSY = "The order cannot be modified as it is being processed"
BUSY_CANCELLING = "The order cannot be cancelled as it is being processed"
NOT_MODIFIED = "16346 : Order cannot be modified"
NOT_CANCELLED = "16115 : Order cannot be cancelled"
BROKER_CANCELLED = "Order cancelled by the broker's risk management."
_MOST_AT_ONCE = 10
_TAG = re.compile(r"[A-Za-z0-9]{1,20}\Z")
"""A live report; the documentation says up to 30."""
_APP_ID = re.compile(r"[A-Z0-9]{10}-[0-9]{3}\Z")
_TRADING_APP = "-200"


class OrderEndpoints:
    """Place, modify, cancel, and the books."""

    def __init__(self, exchange: Exchange, shapes: Shapes, symbol_map: SymbolMap, reader: FyersReader) -> None:
        self._exchange = exchange
        self._shapes = shapes
        self._symbols = symbol_map
        self._reader = reader

    def place(self, call: Call) -> Reply:
        """`POST /orders/sync`."""
        order = self._place(call)
        text = f"Order submitted successfully. Your Order Ref. No.{order.order_id}"
        return success(code=PLACED, message=text, id=order.order_id)

    def place_queued(self, call: Call) -> Reply:
        """`POST /orders/async`: no number yet, it comes with the book and the order socket."""
        return success(code=PLACED, message="Order request received", id_fyers=fyers_id(self._place(call)))

    def place_several(self, call: Call) -> Reply:
        """`POST /multi-order/sync`: up to ten; each has an answer of its own."""
        return self._several(call, self.place)

    def _place(self, call: Call) -> Order:
        _check_app(call)
        request = self._request(call)
        fault = call.behaviour
        if fault is not None:
            if fault.kind == "reject_async":
                request = replace(request, reject_message=fault.settings.get("message", DEFAULT_REJECTION))
            elif fault.kind in ("partial", "never_fill"):
                request = replace(request, fill_cap=int(fault.settings.get("quantity", 0)) if fault.kind == "partial" else 0)
        order = self._exchange.place(request, call.origin)
        if fault is not None and fault.kind == "broker_cancel":
            self._cancel_later(order, seconds=fault.delay_ms / 1000, message=fault.settings.get("message", BROKER_CANCELLED))
        return order

    def _cancel_later(self, order: Order, *, seconds: float, message: str) -> None:
        if seconds <= 0:
            self._exchange.broker_cancel(order, message=message)
        else:
            loop = asyncio.get_running_loop()
            loop.call_later(seconds, lambda: self._exchange.broker_cancel(order, message=message))

    def _request(self, call: Call) -> OrderRequest:
        market = self._symbols.market(call.text("symbol"))
        if market is None:
            raise Refusal(Reason.UNKNOWN_INSTRUMENT)
        order_type = _one_of(call, "type", TYPES)
        tag = call.given.get("orderTag") or None
        if tag is not None and not (isinstance(tag, str) and _TAG.match(tag) and tag not in (call.account.user_id, "Untagged")):
            raise input_error("orderTag is invalid")
        return OrderRequest(
            account=call.account.api_key,
            instrument=market.instrument.key,
            side=_one_of(call, "side", SIDES),
            order_type=order_type,
            product=_one_of(call, "productType", PRODUCTS),
            quantity=call.integer("qty"),
            price=call.price("limitPrice"),
            trigger_price=call.price("stopPrice"),
            validity=_validity(call),
            disclosed_quantity=call.integer("disclosedQty", 0),
            # Market orders become limit orders within the broker's own band.
            protection=AUTOMATIC if order_type in (OrderType.MARKET, OrderType.STOP_MARKET) else None,
            tag=tag,
        )

    def modify(self, call: Call) -> Reply:
        """`PATCH /orders/sync`."""
        _check_app(call)
        order_type = _one_of(call, "type", TYPES)
        given = call.given
        request = ModifyRequest(
            account=call.account.api_key,
            order_id=str(call.required("id")),
            order_type=order_type,
            quantity=call.integer("qty") if "qty" in given else None,
            price=call.price("limitPrice") if "limitPrice" in given else None,
            trigger_price=call.price("stopPrice") if "stopPrice" in given else None,
            disclosed_quantity=call.integer("disclosedQty") if "disclosedQty" in given else None,
            protection=AUTOMATIC if order_type is OrderType.MARKET else None,
        )
        if call.behaviour is not None and call.behaviour.kind == "modify_refused":
            if not call.behaviour.settings.get("asynchronous"):
                raise input_error(call.behaviour.settings.get("message", BUSY))
            message = call.behaviour.settings.get("message", NOT_MODIFIED)
            order = self._exchange.refuse_modification(request, call.origin, message=message)
        else:
            order = self._exchange.modify(request, call.origin)
        return success(code=MODIFIED, message="Successfully modified order", id=order.order_id)

    def modify_several(self, call: Call) -> Reply:
        """`PATCH /multi-order/sync`."""
        return self._several(call, self.modify)

    def cancel(self, call: Call) -> Reply:
        """`DELETE /orders/sync` with the number in the body, or `DELETE /orders/{id}/sync`."""
        _check_app(call)
        account, order_id = call.account.api_key, str(call.required("id"))
        if call.behaviour is not None and call.behaviour.kind == "cancel_refused":
            if not call.behaviour.settings.get("asynchronous"):
                raise input_error(call.behaviour.settings.get("message", BUSY_CANCELLING))
            message = call.behaviour.settings.get("message", NOT_CANCELLED)
            self._exchange.refuse_cancellation(account=account, order_id=order_id, origin=call.origin, message=message)
        else:
            self._exchange.cancel(account=account, order_id=order_id, origin=call.origin)
        return success(code=CANCELLED, message="Successfully cancelled order", id=order_id)

    def cancel_several(self, call: Call) -> Reply:
        """`DELETE /multi-order/sync`."""
        return self._several(call, self.cancel)

    def _several(self, call: Call, one: Any) -> Reply:
        wanted = call.given.get("several")
        if (
            not isinstance(wanted, list)
            or not 0 < len(wanted) <= _MOST_AT_ONCE
            or not all(isinstance(row, dict) for row in wanted)
        ):
            raise input_error(f"The request body should be a list of up to {_MOST_AT_ONCE} objects")
        return success(data=[self._one_of_several(call, row, one) for row in wanted])

    def _one_of_several(self, call: Call, given: dict[str, Any], one: Any) -> dict[str, Any]:
        fields = self._reader.described(given)
        origin = Origin(call.origin.arrived_ns, call.origin.monotonic_ns, fields, call.origin.fault)
        part = Call(call.request, b"", fields, origin, call.behaviour, call.known_account, given=given)
        try:
            body = orjson.loads(one(part).body)
            return {"statusCode": 200, "body": body, "statusDescription": "OK"}
        except Refusal as refusal:
            error = refusal_error(refusal)
        except FyersError as refused:
            error = refused
        return {"statusCode": error.status, "body": problem(error), "statusDescription": "Bad Request"}

    def book(self, call: Call) -> Reply:
        """`GET /orders`, all or those with `order_tag=1:...`."""
        wanted = call.given.get("order_tag")
        orders = [order for order in call.account.orders if wanted is None or tag_text(order.tag) == wanted]
        if call.behaviour is not None and call.behaviour.kind == "stale_book":
            then = self._exchange.clock() - int(float(call.behaviour.settings.get("seconds", 5)) * SECOND_NS)
            known = [(order, _state_at(order, then)) for order in orders]
            return success(orderBook=[self._shapes.order(order, state) for order, state in known if state is not None])
        rows = b",".join(self._shapes.order_bytes(order) for order in orders)
        return Reply(b'{"s":"ok","code":200,"message":"","orderBook":[' + rows + b"]}")

    def one(self, call: Call) -> Reply:
        """`GET /orders?id=`."""
        order = self._exchange.orders.get(str(call.given.get("id")))
        if order is None or order.account != call.account.api_key:
            raise Refusal(Reason.UNKNOWN_ORDER)
        return success(orderBook=[self._shapes.order(order, order.history[-1])])

    def trades(self, call: Call) -> Reply:
        """`GET /tradebook`, all or those of orders with `order_tag=1:...`."""
        wanted = call.given.get("order_tag")
        rows = [self._shapes.trade(trade, number) for number, trade in enumerate(call.account.trades, start=1)]
        return success(tradeBook=[row for row in rows if wanted is None or row["orderTag"] == wanted])


def _check_app(call: Call) -> None:
    """Since 1 April 2026 only apps that end in -200 trade; keys that do not look like an app id are taken as they are."""
    app_id = call.account.api_key
    if _APP_ID.match(app_id) and not app_id.endswith(_TRADING_APP):
        raise not_allowed(app_id)


def _one_of(call: Call, name: str, words: dict[Any, Any]) -> Any:
    value = call.required(name)
    for meaning, word in words.items():
        if word == value and not isinstance(value, bool):
            return meaning
    raise input_error(f"{name} is invalid")


def _validity(call: Call) -> Validity:
    try:
        return Validity(call.text("validity"))
    except ValueError:
        raise input_error("validity is invalid") from None


def _state_at(order: Order, then_ns: int) -> Snapshot | None:
    known = [snapshot for snapshot in order.history if snapshot.at_ns <= then_ns]
    return known[-1] if known else None
