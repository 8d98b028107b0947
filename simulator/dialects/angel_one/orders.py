"""Order endpoints (SmartAPI documentation, "Orders"). Most of what is wrong with an order comes out after it was taken: the book
then shows it as rejected."""

import asyncio
from dataclasses import replace
from enum import StrEnum

from simulator.clock import SECOND_NS
from simulator.dialects.angel_one.call import Call
from simulator.dialects.angel_one.envelope import AngelError, bad_input, rejection, success, success_list
from simulator.dialects.angel_one.shapes import Row, Shapes, order_id_of, unique_id, variety
from simulator.dialects.angel_one.tokens import TokenMap, symbol
from simulator.dialects.common.reply import Reply
from simulator.exchange.engine import Exchange
from simulator.exchange.orders import ModifyRequest, Order, OrderRequest, OrderType, Product, Side, Validity
from simulator.exchange.placing import DEFAULT_REJECTION
from simulator.exchange.protection import AUTOMATIC
from simulator.exchange.refusals import Reason, Refusal

_LONGEST_TAG = 20
BUSY = "Order cannot be modified as it is being processed. Try later."
BUSY_CANCELLING = "Order cannot be cancelled as it is being processed. Try later."
NOT_MODIFIED = "16346 : Order cannot be modified"
NOT_CANCELLED = "16115 : Order cannot be cancelled"
BROKER_CANCELLED = "Order cancelled by the broker's risk management."


class Variety(StrEnum):
    """`ROBO` is blocked, as it often is at the broker; `AMO` is not needed."""

    NORMAL = "NORMAL"
    STOPLOSS = "STOPLOSS"
    AMO = "AMO"
    ROBO = "ROBO"


class AngelOrderType(StrEnum):
    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOPLOSS_LIMIT = "STOPLOSS_LIMIT"
    STOPLOSS_MARKET = "STOPLOSS_MARKET"

    @property
    def at_the_exchange(self) -> OrderType:
        return _TYPES[self]


class AngelProduct(StrEnum):
    DELIVERY = "DELIVERY"
    INTRADAY = "INTRADAY"
    CARRYFORWARD = "CARRYFORWARD"

    @property
    def at_the_exchange(self) -> Product:
        return _PRODUCTS[self]


_TYPES = {
    AngelOrderType.LIMIT: OrderType.LIMIT,
    AngelOrderType.MARKET: OrderType.MARKET,
    AngelOrderType.STOPLOSS_LIMIT: OrderType.STOP_LIMIT,
    AngelOrderType.STOPLOSS_MARKET: OrderType.STOP_MARKET,
}
_PRODUCTS = {
    AngelProduct.DELIVERY: Product.CNC,
    AngelProduct.INTRADAY: Product.MIS,
    AngelProduct.CARRYFORWARD: Product.NRML,
}


class OrderEndpoints:
    """Place, modify, cancel, and the books."""

    def __init__(self, exchange: Exchange, shapes: Shapes, tokens: TokenMap) -> None:
        self._exchange = exchange
        self._shapes = shapes
        self._tokens = tokens

    def place(self, call: Call) -> Reply:
        """`POST placeOrder`."""
        request = self._parse(call)
        fault = call.behaviour
        if fault is not None:
            if fault.kind == "reject_async":
                request = replace(request, reject_message=fault.settings.get("message", DEFAULT_REJECTION))
            elif fault.kind in ("partial", "never_fill"):
                request = replace(request, fill_cap=int(fault.settings.get("quantity", 0)) if fault.kind == "partial" else 0)
        order = self._take(request, call)
        if fault is not None and fault.kind == "broker_cancel":
            self._cancel_later(order, seconds=fault.delay_ms / 1000, message=fault.settings.get("message", BROKER_CANCELLED))
        script = symbol(self._exchange.market(order.instrument).instrument)
        return success({"script": script, "orderid": order.order_id, "uniqueorderid": unique_id(order.order_id)})

    def _take(self, request: OrderRequest, call: Call) -> Order:
        """Place it; what the risk desk or the exchange would reject is taken first and rejected then."""
        try:
            return self._exchange.place(request, call.origin)
        except Refusal as refusal:
            message = rejection(refusal)
            if message is None:
                raise
            return self._exchange.place_rejected(request, call.origin, message=message)

    def _parse(self, call: Call) -> OrderRequest:
        tag = call.text("ordertag") or None
        if tag is not None and len(tag) > _LONGEST_TAG:
            raise AngelError("AB4008", f"Ordertag length should not exceed {_LONGEST_TAG} characters")
        if not call.text("symboltoken"):
            raise AngelError("AB4018", "Symboltoken cannot be empty")
        kind = call.choice("variety", Variety, code="AB1008")
        if kind is Variety.ROBO:
            raise AngelError("AB2002", "ROBO order is blocked")
        order_type = call.choice("ordertype", AngelOrderType).at_the_exchange
        if kind is not Variety.AMO and kind.value != variety(order_type):
            raise AngelError("AB1008", "Invalid Order Variety")
        market = self._tokens.market(call.required("exchange").upper(), call.required("symboltoken"))
        if market is None or symbol(market.instrument) != call.required("tradingsymbol"):
            raise AngelError("AB1009", "Symbol Not Found")
        quantity = call.integer("quantity") or 0
        if quantity <= 0:
            raise bad_input()
        priced = order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT)
        return OrderRequest(
            account=call.account.api_key,
            instrument=market.instrument.key,
            side=call.choice("transactiontype", Side),
            order_type=order_type,
            product=call.choice("producttype", AngelProduct, code="AB1012").at_the_exchange,
            quantity=quantity,
            price=(call.price("price") or 0) if priced else 0,
            trigger_price=(call.price("triggerprice") or 0) if order_type.waits_for_trigger else 0,
            validity=call.choice("duration", Validity),
            disclosed_quantity=call.integer("disclosedquantity") or 0,
            # Market orders become limit orders within the broker's own protection band.
            protection=None if priced else AUTOMATIC,
            tag=tag,
        )

    def _cancel_later(self, order: Order, *, seconds: float, message: str) -> None:
        if seconds <= 0:
            self._exchange.broker_cancel(order, message=message)
        else:
            loop = asyncio.get_running_loop()
            loop.call_later(seconds, lambda: self._exchange.broker_cancel(order, message=message))

    def modify(self, call: Call) -> Reply:
        """`POST modifyOrder`: names everything anew."""
        order = self._own_order(call, call.required("orderid"))
        order_type = call.choice("ordertype", AngelOrderType).at_the_exchange
        self._check_variety(call, order)
        call.choice("producttype", AngelProduct, code="AB1012")
        market = self._tokens.market(call.required("exchange").upper(), call.required("symboltoken"))
        names = (order.instrument, call.required("tradingsymbol"))
        if market is None or (market.instrument.key, symbol(market.instrument)) != names:
            raise AngelError("AB1009", "Symbol Not Found")
        request = ModifyRequest(
            account=call.account.api_key,
            order_id=order.order_id,
            order_type=order_type,
            quantity=call.integer("quantity"),
            price=call.price("price"),
            trigger_price=call.price("triggerprice") if order_type.waits_for_trigger else None,
            validity=call.choice("duration", Validity),
            protection=AUTOMATIC if order_type in (OrderType.MARKET, OrderType.STOP_MARKET) else None,
        )
        fault = call.behaviour
        if fault is not None and fault.kind == "modify_refused":
            if not fault.settings.get("asynchronous"):
                raise AngelError("", fault.settings.get("message", BUSY))
            self._exchange.refuse_modification(request, call.origin, message=fault.settings.get("message", NOT_MODIFIED))
        else:
            self._change(request, call)
        return _changed(order)

    def _change(self, request: ModifyRequest, call: Call) -> None:
        """Modify it; what the risk desk or the exchange would reject is taken first, and the order stays as it was."""
        try:
            self._exchange.modify(request, call.origin)
        except Refusal as refusal:
            message = rejection(refusal)
            if refusal.reason is Reason.BELOW_FILLED:
                message = "Modified quantity is not above the traded quantity."
            if message is None:
                raise
            self._exchange.refuse_modification(request, call.origin, message=message)

    def cancel(self, call: Call) -> Reply:
        """`POST cancelOrder`."""
        order = self._own_order(call, call.required("orderid"))
        self._check_variety(call, order)
        account, fault = call.account.api_key, call.behaviour
        if fault is not None and fault.kind == "cancel_refused":
            if not fault.settings.get("asynchronous"):
                raise AngelError("", fault.settings.get("message", BUSY_CANCELLING))
            message = fault.settings.get("message", NOT_CANCELLED)
            self._exchange.refuse_cancellation(account=account, order_id=order.order_id, origin=call.origin, message=message)
        else:
            self._exchange.cancel(account=account, order_id=order.order_id, origin=call.origin)
        return _changed(order)

    def _check_variety(self, call: Call, order: Order) -> None:
        """It must be the order's."""
        if call.choice("variety", Variety, code="AB1008") not in (variety(order.order_type), Variety.AMO):
            raise AngelError("AB1008", "Invalid Order Variety")

    def book(self, call: Call) -> Reply:
        """`GET getOrderBook`."""
        if call.behaviour is not None and call.behaviour.kind == "stale_book":
            rows = self._book_of(call, seconds=float(call.behaviour.settings.get("seconds", 5)))
            return success(rows or None)
        return success_list([self._shapes.order_bytes(order) for order in call.account.orders])

    def _book_of(self, call: Call, *, seconds: float) -> list[Row]:
        then = self._exchange.clock() - int(seconds * SECOND_NS)
        rows = []
        for order in call.account.orders:
            known = [snapshot for snapshot in order.history if snapshot.at_ns <= then]
            if known:
                rows.append(self._shapes.order(order, known[-1]))
        return rows

    def details(self, call: Call) -> Reply:
        """`GET details/{uniqueorderid}`: the present state, by the other id."""
        order = self._own_order(call, order_id_of(call.path("unique_id")))
        return success(self._shapes.order(order, order.history[-1]))

    def trades(self, call: Call) -> Reply:
        """`GET getTradeBook`."""
        return success([self._shapes.trade(trade) for trade in call.account.trades] or None)

    def _own_order(self, call: Call, order_id: str) -> Order:
        order = self._exchange.orders.get(order_id)
        if order is None or order.account != call.account.api_key:
            raise Refusal(Reason.UNKNOWN_ORDER)
        return order


def _changed(order: Order) -> Reply:
    return success({"orderid": order.order_id, "uniqueorderid": unique_id(order.order_id)})
