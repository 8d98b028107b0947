"""Margin and charge calculators (Kite Connect v3 documentation, "Margin calculation"). Figures are plausible, not a tariff."""

from typing import Any

from simulator.dialects.common.reply import Reply
from simulator.dialects.kite.call import Call
from simulator.dialects.kite.envelope import input_error, success
from simulator.dialects.kite.shapes import Row
from simulator.exchange.engine import Exchange
from simulator.exchange.funds import margin_unit
from simulator.exchange.market import Market
from simulator.exchange.orders import Product, Side
from simulator.money import PRICE_SCALE, to_price


class ChargeEndpoints:
    """What orders would cost."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def margins(self, call: Call) -> Reply:
        """`POST /margins/orders` with a JSON array of orders."""
        return success([self._margin(order) for order in _orders(call)])

    def basket(self, call: Call) -> Reply:
        """`POST /margins/basket` with a JSON array of orders; no benefit is given for hedges."""
        rows = [self._margin(order) for order in _orders(call)]
        total = _blank("", "", "") | {"total": sum(row["total"] for row in rows)}
        return success({"initial": total, "final": total, "orders": rows, "charges": _charges(0, delivery=False)})

    def contract_note(self, call: Call) -> Reply:
        """`POST /charges/orders` with a JSON array of executed orders."""
        names = ("transaction_type", "tradingsymbol", "exchange", "variety", "product", "order_type", "quantity", "price")
        rows = []
        for order in _orders(call):
            _, quantity, price = self._value(order)
            turnover = quantity * price / PRICE_SCALE
            note = {name: order.get(name) for name in names}
            rows.append(note | {"charges": _charges(turnover, delivery=order.get("product") == "CNC")})
        return success(rows)

    def _margin(self, order: dict[str, Any]) -> Row:
        market, quantity, price = self._value(order)
        try:
            side, product = Side(str(order.get("transaction_type"))), Product(str(order.get("product")))
        except ValueError:
            raise input_error("Invalid `transaction_type` or `product`.") from None
        total = quantity * margin_unit(market.instrument, side=side, product=product, price=price) / PRICE_SCALE
        turnover = quantity * price / PRICE_SCALE
        return _blank("equity", market.instrument.symbol, market.instrument.exchange) | {
            "var": total,
            "leverage": turnover / total if total else 1,
            "charges": _charges(turnover, delivery=product is Product.CNC),
            "total": total,
        }

    def _value(self, order: dict[str, Any]) -> tuple[Market, int, int]:
        market = self._exchange.market(f"{order.get('exchange')}:{order.get('tradingsymbol')}")
        quantity = order.get("quantity")
        if isinstance(quantity, bool) or not isinstance(quantity, int | float) or quantity <= 0 or quantity != int(quantity):
            raise input_error("Invalid `quantity`.")
        try:
            price = to_price(order.get("average_price") or order.get("price") or 0)
        except ValueError:
            raise input_error("Invalid `price`.") from None
        return market, int(quantity), price or market.last_price


def _orders(call: Call) -> list[dict[str, Any]]:
    orders = call.json()
    if not isinstance(orders, list) or not all(isinstance(order, dict) for order in orders):
        raise input_error("The request body must be a list of orders.")
    return orders


def _blank(kind: str, symbol: str, exchange: str) -> Row:
    return {
        "type": kind, "tradingsymbol": symbol, "exchange": exchange, "span": 0, "exposure": 0, "option_premium": 0,
        "additional": 0, "bo": 0, "cash": 0, "var": 0, "pnl": {"realised": 0, "unrealised": 0}, "leverage": 0,
        "charges": _charges(0, delivery=False), "total": 0,
    }  # fmt: skip


def _charges(turnover: float, *, delivery: bool) -> Row:
    tax, exchange, sebi = turnover * (0.001 if delivery else 0.00025), turnover * 0.0000297, turnover * 0.000001
    brokerage = 0.0 if delivery else min(20.0, turnover * 0.0003)
    gst = 0.18 * (exchange + sebi + brokerage)
    return {
        "transaction_tax": tax, "transaction_tax_type": "stt", "exchange_turnover_charge": exchange,
        "sebi_turnover_charge": sebi, "brokerage": brokerage, "stamp_duty": 0,
        "gst": {"igst": gst, "cgst": 0, "sgst": 0, "total": gst},
        "total": tax + exchange + sebi + brokerage + gst,
    }  # fmt: skip
