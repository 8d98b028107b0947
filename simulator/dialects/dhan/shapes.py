"""Orders, trades, positions, holdings and funds in Dhan's JSON (DhanHQ v2 documentation, "Orders", "Portfolio", "Funds")."""

from typing import Any

from simulator.clock import india_text
from simulator.dialects.common.rows import OrderRows
from simulator.dialects.dhan.segments import list_segment, segment_word, trading_symbol
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import Instrument
from simulator.exchange.orders import Order, OrderType, Product, Side, Snapshot, Status, Trade
from simulator.exchange.positions import Holding, Position
from simulator.money import average, rupees

Row = dict[str, Any]
ORDER_TYPES = {
    "LIMIT": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP_LOSS": OrderType.STOP_LIMIT,
    "STOP_LOSS_MARKET": OrderType.STOP_MARKET,
}
PRODUCTS = {"CNC": Product.CNC, "INTRADAY": Product.MIS, "MARGIN": Product.NRML}
SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
_ORDER_TYPE_WORDS = {kind: word for word, kind in ORDER_TYPES.items()}
_PRODUCT_WORDS = {product: word for word, product in PRODUCTS.items()}
_UPDATE_TYPES = {
    OrderType.LIMIT: "LMT",
    OrderType.MARKET: "MKT",
    OrderType.STOP_LIMIT: "SL",
    OrderType.STOP_MARKET: "SLM",
}
_UPDATE_PRODUCTS = {Product.CNC: "C", Product.MIS: "I", Product.NRML: "M"}
_BEFORE_THE_EXCHANGE = (Status.RECEIVED, Status.VALIDATION_PENDING, Status.OPEN_PENDING)
_ENDS = {Status.COMPLETE: "TRADED", Status.CANCELLED: "CANCELLED", Status.REJECTED: "REJECTED"}
_NO_DATE = "0001-01-01 00:00:00"


def status_word(snapshot: Snapshot) -> str:
    """TRANSIT, PENDING, PART_TRADED, TRADED, CANCELLED or REJECTED."""
    if snapshot.status in _BEFORE_THE_EXCHANGE:
        return "TRANSIT"
    return _ENDS.get(snapshot.status) or ("PART_TRADED" if snapshot.filled else "PENDING")


class Shapes(OrderRows):
    """Makes rows."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def order(self, order: Order, snapshot: Snapshot) -> Row:
        """The order object as it was at a snapshot."""
        rejected = snapshot.status is Status.REJECTED
        return {
            **self._whose(order.account),
            "orderId": order.order_id,
            "exchangeOrderId": snapshot.exchange_order_id,
            "correlationId": order.tag,
            "orderStatus": status_word(snapshot),
            "transactionType": order.side,
            **self._traded_thing(order.instrument, order.product),
            "orderType": _ORDER_TYPE_WORDS[snapshot.order_type],
            "validity": snapshot.validity,
            "quantity": snapshot.quantity,
            "disclosedQuantity": snapshot.disclosed_quantity,
            "price": rupees(snapshot.price),
            "triggerPrice": rupees(snapshot.trigger_price),
            "afterMarketOrder": False,
            "boProfitValue": 0.0,
            "boStopLossValue": 0.0,
            "legName": None,
            "createTime": india_text(order.created_ns),
            "updateTime": india_text(snapshot.at_ns),
            "exchangeTime": india_text(snapshot.exchange_at_ns) if snapshot.exchange_order_id else _NO_DATE,
            **_no_derivative(),
            "omsErrorCode": "16283" if rejected else None,
            "omsErrorDescription": snapshot.message,
            "algoId": "0",
            "remainingQuantity": snapshot.pending,
            "averageTradedPrice": average(snapshot.filled_value, snapshot.filled),
            "filledQty": snapshot.filled,
        }

    def postback(self, order: Order, snapshot: Snapshot) -> Row:
        """What is posted to the user's own address: nothing signed, and some names of their own."""
        row = self.order(order, snapshot)
        for name in ("remainingQuantity", "averageTradedPrice", "algoId"):
            row.pop(name)
        row["omserroeCode"] = row.pop("omsErrorCode")
        return row | {"filled_qty": row.pop("filledQty")}

    def update(self, order: Order, snapshot: Snapshot) -> Row:
        """The `Data` of an order update, in the spelling of the live feed."""
        market = self._exchange.markets[order.instrument]
        instrument = market.instrument
        exchange, letter = list_segment(instrument)
        placed = india_text(order.created_ns)
        return {
            "exchange": exchange,
            "segment": letter,
            "source": "P" if order.via_api else "W",
            "securityId": str(instrument.exchange_token),
            "clientId": self._exchange.accounts[order.account].user_id,
            "exchOrderNo": snapshot.exchange_order_id or "",
            "orderNo": order.order_id,
            "product": _UPDATE_PRODUCTS[order.product],
            "txnType": "B" if order.side is Side.BUY else "S",
            "orderType": _UPDATE_TYPES[snapshot.order_type],
            "validity": snapshot.validity,
            "discQuantity": snapshot.disclosed_quantity,
            "discQtyRem": 0,
            "remainingQuantity": snapshot.pending,
            "quantity": snapshot.quantity,
            "tradedQty": snapshot.filled,
            "price": rupees(snapshot.price),
            "triggerPrice": rupees(snapshot.trigger_price),
            "tradedPrice": rupees(market.last_price) if snapshot.filled else 0,
            "avgTradedPrice": average(snapshot.filled_value, snapshot.filled),
            "algoOrdNo": "",
            "offMktFlag": "0",
            "orderDateTime": placed,
            "exchOrderTime": india_text(snapshot.exchange_at_ns) if snapshot.exchange_order_id else _NO_DATE,
            "lastUpdatedTime": india_text(snapshot.at_ns),
            "remarks": "NR",
            "mktType": "NL",
            "reasonDescription": snapshot.message or "CONFIRMED",
            "legNo": 1,
            "instrument": instrument.kind.name,
            "symbol": trading_symbol(instrument),
            "productName": _PRODUCT_WORDS[order.product],
            "status": status_word(snapshot).replace("_", " ").title(),
            "lotSize": max(instrument.lot_size, 1),
            "strikePrice": rupees(instrument.strike),
            "expiryDate": f"{instrument.expiry} 14:30:00" if instrument.expiry else _NO_DATE,
            "optType": str(instrument.kind) if instrument.kind.is_option else "XX",
            "displayName": instrument.name,
            "isin": "NA",
            "series": "EQ" if exchange == "NSE" else "A",
            "refLtp": rupees(market.last_price),
            "tickSize": rupees(instrument.tick_size),
            "algoId": "0",
            "multiplier": 1,
            "correlationId": order.tag or "",
        }

    def trade(self, trade: Trade) -> Row:
        """One fill."""
        filled_at = india_text(trade.at_ns)
        return {
            **self._whose(trade.account),
            "orderId": trade.order_id,
            "exchangeOrderId": trade.exchange_order_id,
            "exchangeTradeId": trade.trade_id,
            "transactionType": trade.side,
            **self._traded_thing(trade.instrument, trade.product),
            "orderType": "LIMIT",
            "customSymbol": self._instrument(trade.instrument).name,
            "tradedQuantity": trade.quantity,
            "tradedPrice": rupees(trade.price),
            "createTime": india_text(trade.ordered_ns),
            "updateTime": filled_at,
            "exchangeTime": filled_at,
            **_no_derivative(),
        }

    def positions(self, account: Account) -> list[Row]:
        """Positions with quantity or trades today."""
        return [self._position(account, position) for position in account.positions.values() if not position.is_empty]

    def _position(self, account: Account, position: Position) -> Row:
        market = self._exchange.markets[position.instrument]
        net, carried = position.net, position.overnight_quantity
        long, short = max(carried, 0), max(-carried, 0)
        bought, sold = long + position.day_buy_quantity, short + position.day_sell_quantity
        bought_value = position.day_buy_value + (position.overnight_value if carried > 0 else 0)
        sold_value = position.day_sell_value + (position.overnight_value if carried < 0 else 0)
        cost = position.open_value if net >= 0 else -position.open_value
        return {
            **self._whose(account.api_key),
            **self._traded_thing(position.instrument, position.product),
            "positionType": "LONG" if net > 0 else "SHORT" if net < 0 else "CLOSED",
            "buyAvg": average(bought_value, bought),
            "buyQty": bought,
            "costPrice": average(position.open_value, abs(net)),
            "sellAvg": average(sold_value, sold),
            "sellQty": sold,
            "netQty": net,
            "realizedProfit": rupees(position.realised),
            "unrealizedProfit": rupees(net * market.last_price - cost),
            "rbiReferenceRate": 1.0,
            "multiplier": 1,
            "carryForwardBuyQty": long,
            "carryForwardSellQty": short,
            "carryForwardBuyValue": rupees(position.overnight_value if carried > 0 else 0),
            "carryForwardSellValue": rupees(position.overnight_value if carried < 0 else 0),
            "dayBuyQty": position.day_buy_quantity,
            "daySellQty": position.day_sell_quantity,
            "dayBuyValue": rupees(position.day_buy_value),
            "daySellValue": rupees(position.day_sell_value),
            **_no_derivative(),
            "crossCurrency": False,
        }

    def holding(self, holding: Holding) -> Row:
        """One holding."""
        market = self._exchange.markets[holding.instrument]
        return {
            # NSE's shares may be sold at BSE too: the documentation shows ALL for them.
            "exchange": "ALL" if market.instrument.exchange == "NSE" else market.instrument.exchange,
            "tradingSymbol": market.instrument.symbol,
            "securityId": str(market.instrument.exchange_token),
            "isin": "NA",
            "totalQty": holding.quantity + holding.t1_quantity,
            "dpQty": holding.quantity,
            "t1Qty": holding.t1_quantity,
            "availableQty": holding.quantity + holding.t1_quantity - holding.used,
            "collateralQty": 0,
            "avgCostPrice": rupees(holding.average_price),
            "lastTradedPrice": rupees(market.last_price),
        }

    def funds(self, account: Account) -> Row:
        """`availabelBalance` is how the broker spells it."""
        return {
            **self._whose(account.api_key),
            "availabelBalance": rupees(account.available),
            "sodLimit": rupees(account.funds),
            "collateralAmount": 0.0,
            "receiveableAmount": 0.0,
            "utilizedAmount": rupees(account.funds - account.available),
            "blockedPayoutAmount": 0.0,
            "withdrawableBalance": rupees(account.available),
        }

    def _instrument(self, key: str) -> Instrument:
        return self._exchange.markets[key].instrument

    def _whose(self, api_key: str) -> Row:
        return {"dhanClientId": self._exchange.accounts[api_key].user_id}

    def _traded_thing(self, key: str, product: Product) -> Row:
        instrument = self._instrument(key)
        return {
            "exchangeSegment": segment_word(instrument),
            "productType": _PRODUCT_WORDS[product],
            "tradingSymbol": trading_symbol(instrument),
            "securityId": str(instrument.exchange_token),
        }


def _no_derivative() -> Row:
    return {"drvExpiryDate": None, "drvOptionType": None, "drvStrikePrice": 0.0}
