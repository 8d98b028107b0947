"""Good-till-triggered orders (Kite Connect v3 documentation, "GTT orders")."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from simulator.clock import india_text
from simulator.dialects.common.reply import Reply
from simulator.dialects.kite.call import Call
from simulator.dialects.kite.envelope import KiteError, input_error, refusal_error, success
from simulator.dialects.kite.shapes import Row
from simulator.dialects.kite.tokens import TokenMap, parse_token
from simulator.exchange.engine import Exchange
from simulator.exchange.gtt import LIFETIME_NS, Gtt
from simulator.exchange.market import Market
from simulator.exchange.orders import OrderRequest, OrderType, Product, Side
from simulator.exchange.refusals import Refusal
from simulator.money import rupees, to_price

_LEGS = {"single": 1, "two-leg": 2}


class GttEndpoints:
    """Place, list, change, delete; and fire when a price comes by."""

    def __init__(self, exchange: Exchange, tokens: TokenMap) -> None:
        self._exchange = exchange
        self._tokens = tokens

    def place(self, call: Call) -> Reply:
        """`POST /gtt/triggers`."""
        self._exchange.last_gtt_number += 1
        gtt = self._parse(call, self._exchange.last_gtt_number)
        self._exchange.keep_gtt(gtt)
        return success({"trigger_id": gtt.trigger_id})

    def list(self, call: Call) -> Reply:
        """`GET /gtt/triggers`."""
        mine = [gtt for gtt in self._exchange.gtts.values() if gtt.account == call.account.api_key]
        return success([self._row(gtt) for gtt in mine])

    def get(self, call: Call) -> Reply:
        """`GET /gtt/triggers/{id}`."""
        return success(self._row(self._own(call)))

    def modify(self, call: Call) -> Reply:
        """`PUT /gtt/triggers/{id}`."""
        old = self._own_active(call)
        self._exchange.keep_gtt(replace(self._parse(call, old.trigger_id), created_ns=old.created_ns))
        return success({"trigger_id": old.trigger_id})

    def delete(self, call: Call) -> Reply:
        """`DELETE /gtt/triggers/{id}`."""
        gtt = self._own_active(call)
        self._exchange.keep_gtt(replace(gtt, status="deleted", updated_ns=self._exchange.clock()))
        return success({"trigger_id": gtt.trigger_id})

    def priced(self, markets: Sequence[Market]) -> None:
        """Fire what these prices hit."""
        if not self._exchange.gtts:
            return
        prices = {market.instrument.key: market.last_price for market in markets}
        for gtt in list(self._exchange.gtts.values()):
            if gtt.status == "active" and gtt.instrument in prices:
                leg = gtt.leg_hit(prices[gtt.instrument])
                if leg is not None:
                    self._fire(gtt, leg)

    def _fire(self, gtt: Gtt, leg: int) -> None:
        self._exchange.keep_gtt(replace(gtt, status="triggered", updated_ns=self._exchange.clock()))
        try:
            order_id, reason = self._exchange.place(gtt.requests[leg]).order_id, ""
        except Refusal as refusal:
            order_id, reason = "", refusal_error(refusal).message
        status = "success" if order_id else "failed"
        result = {"status": status, "order_id": order_id, "rejection_reason": reason}
        fired = self._exchange.gtts[gtt.trigger_id]
        self._exchange.keep_gtt(replace(fired, fired_leg=leg, result=result))

    def _own(self, call: Call) -> Gtt:
        trigger_id = parse_token(call.path("trigger_id"))
        gtt = None if trigger_id is None else self._exchange.gtts.get(trigger_id)
        if gtt is None or gtt.account != call.account.api_key:
            raise KiteError(404, "GeneralException", "Couldn't find that `trigger_id`.")
        return gtt

    def _own_active(self, call: Call) -> Gtt:
        gtt = self._own(call)
        if gtt.status != "active":
            raise input_error(f"The trigger is {gtt.status}.")
        return gtt

    def _parse(self, call: Call, trigger_id: int) -> Gtt:
        kind = call.required("type")
        if kind not in _LEGS:
            raise input_error("Invalid `type`.")
        try:
            condition, orders = orjson.loads(call.required("condition")), orjson.loads(call.required("orders"))
            triggers = tuple(to_price(value) for value in condition["trigger_values"])
            market = self._exchange.market(f"{condition['exchange']}:{condition['tradingsymbol']}")
            requests = tuple(_request(call.account.api_key, market, order) for order in orders)
            last_price = to_price(condition["last_price"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            raise input_error("Invalid `condition` or `orders`.") from None
        if len(triggers) != _LEGS[kind] or len(requests) != _LEGS[kind] or min(triggers) <= 0:
            raise input_error("A single trigger has one value and one order, a two-leg trigger two of each.")
        now = self._exchange.clock()
        return Gtt(trigger_id, call.account.api_key, kind, market.instrument.key, triggers, last_price, requests, now, now)

    def _row(self, gtt: Gtt) -> Row:
        exchange, _, symbol = gtt.instrument.partition(":")
        return {
            "id": gtt.trigger_id,
            "user_id": self._exchange.accounts[gtt.account].user_id,
            "parent_trigger": None,
            "type": gtt.kind,
            "created_at": india_text(gtt.created_ns),
            "updated_at": india_text(gtt.updated_ns),
            "expires_at": india_text(gtt.created_ns + LIFETIME_NS),
            "status": gtt.status,
            "condition": {
                "exchange": exchange,
                "last_price": rupees(gtt.last_price),
                "tradingsymbol": symbol,
                "trigger_values": [rupees(price) for price in gtt.trigger_prices],
                "instrument_token": self._tokens.token(gtt.instrument),
            },
            "orders": [_leg_row(gtt, leg) for leg in range(len(gtt.requests))],
            "meta": {},
        }


def _request(api_key: str, market: Market, order: dict[str, Any]) -> OrderRequest:
    if order["order_type"] != OrderType.LIMIT:
        raise input_error("Only LIMIT orders can be triggered.")
    if isinstance(order["quantity"], bool) or not isinstance(order["quantity"], int):
        raise input_error("Invalid `quantity`.")
    return OrderRequest(
        account=api_key, instrument=market.instrument.key, side=Side(order["transaction_type"]), order_type=OrderType.LIMIT,
        product=Product(order["product"]), quantity=order["quantity"], price=to_price(order["price"]), via_api=False,
    )  # fmt: skip


def _leg_row(gtt: Gtt, leg: int) -> Row:
    request = gtt.requests[leg]
    exchange, _, symbol = gtt.instrument.partition(":")
    shared = {
        "exchange": exchange, "tradingsymbol": symbol, "product": request.product, "order_type": "LIMIT",
        "transaction_type": request.side, "quantity": request.quantity, "price": rupees(request.price),
    }  # fmt: skip
    fired = None
    if gtt.fired_leg == leg:
        fired = {
            "account_id": gtt.account, "validity": "DAY", **shared, "meta": f'{{"gtt":{gtt.trigger_id}}}',
            "timestamp": india_text(gtt.updated_ns), "triggered_at": rupees(gtt.trigger_prices[leg]), "order_result": gtt.result,
        }  # fmt: skip
    return {**shared, "result": fired}
