"""Orders, trades, positions, holdings and funds in this broker's JSON (Fyers API v3, "Order book", "Trade book", "Positions")."""

import time
import uuid
from typing import Any

from simulator.clock import INDIA_OFFSET_SECONDS, SECOND_NS
from simulator.dialects.common.rows import OrderRows
from simulator.dialects.fyers import symbols
from simulator.dialects.fyers.symbols import SymbolMap
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.exchange.orders import Order, OrderType, Product, Side, Snapshot, Status, Trade
from simulator.exchange.positions import Holding, Position
from simulator.money import average, rupees

Row = dict[str, Any]

PRODUCTS = {Product.MIS: "INTRADAY", Product.CNC: "CNC", Product.NRML: "MARGIN"}
TYPES = {OrderType.LIMIT: 1, OrderType.MARKET: 2, OrderType.STOP_MARKET: 3, OrderType.STOP_LIMIT: 4}
SIDES = {Side.BUY: 1, Side.SELL: -1}
_TRANSIT, _PENDING = 4, 6
_STATUSES = {
    Status.RECEIVED: _TRANSIT,
    Status.VALIDATION_PENDING: _TRANSIT,
    Status.OPEN_PENDING: _TRANSIT,
    Status.COMPLETE: 2,
    Status.CANCELLED: 1,
    Status.REJECTED: 5,
}
# What the order socket calls the same moments inside.
_INNER_STATUSES = {_TRANSIT: 20, _PENDING: 6, 1: 81, 2: 90, 5: 70}
_UNTAGGED = "2:Untagged"


def status_number(status: Status) -> int:
    """4 in transit, 6 pending, 2 traded, 1 cancelled, 5 rejected."""
    return _STATUSES.get(status, _PENDING)


def tag_text(tag: str | None) -> str:
    """A user's own tag has a prefix; so has the mark for none."""
    return f"1:{tag}" if tag else _UNTAGGED


def time_text(at_ns: int) -> str:
    """`18-Dec-2023 13:51:30`, Indian time."""
    return time.strftime("%d-%b-%Y %H:%M:%S", time.gmtime(at_ns // SECOND_NS + INDIA_OFFSET_SECONDS))


def fyers_id(order: Order) -> str:
    """The broker's second number of an order, a UUID."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, order.order_id))


class Shapes(OrderRows):
    """Makes rows."""

    def __init__(self, exchange: Exchange, symbol_map: SymbolMap) -> None:
        super().__init__()
        self._exchange = exchange
        self._symbols = symbol_map

    def order(self, order: Order, snapshot: Snapshot) -> Row:
        """The order book's row as it was at a snapshot."""
        market = self._exchange.markets[order.instrument]
        number = status_number(snapshot.status)
        change = market.last_price - market.close
        return {
            "clientId": self._exchange.accounts[order.account].user_id,
            "id": order.order_id,
            "id_fyers": fyers_id(order),
            "exchOrdId": snapshot.exchange_order_id,
            "qty": snapshot.quantity,
            "remainingQuantity": 0 if snapshot.status.is_terminal else snapshot.pending,
            "filledQty": snapshot.filled,
            "discloseQty": snapshot.disclosed_quantity,
            "disclosedQty": snapshot.disclosed_quantity,
            "dqQtyRem": 0,
            "limitPrice": rupees(snapshot.price),
            "stopPrice": rupees(snapshot.trigger_price),
            "tradedPrice": average(snapshot.filled_value, snapshot.filled),
            "type": TYPES[snapshot.order_type],
            **self._instrument(order.instrument),
            "instrument": 0,
            "message": snapshot.message or "",
            "offlineOrder": False,
            "orderDateTime": time_text(order.created_ns),
            "orderValidity": snapshot.validity,
            "pan": "",
            "productType": PRODUCTS[order.product],
            "side": SIDES[order.side],
            "status": number,
            "source": "ITS" if order.via_api else "M",
            "ex_sym": market.instrument.name if market.instrument.expiry else market.instrument.symbol,
            "description": market.instrument.name,
            "ch": rupees(change),
            "chp": round(change * 100 / market.close, 2) if market.close else 0,
            "lp": rupees(market.last_price),
            "slNo": 1,
            "orderNumStatus": f"{order.order_id}:{number}",
            "orderTag": tag_text(order.tag),
            "takeProfit": 0,
            "stopLoss": 0,
        }

    def update(self, order: Order, snapshot: Snapshot) -> Row:
        """The order on the order socket: names of its own, and nothing where there is no value yet."""
        market = self._exchange.markets[order.instrument]
        number = status_number(snapshot.status)
        row: Row = {
            "client_id": self._exchange.accounts[order.account].user_id,
            "exchange": symbols.exchange_number(market.instrument),
            "segment": symbols.segment_number(market.instrument),
            "fy_token": symbols.fy_token(market.instrument),
            "id": order.order_id,
            "id_fyers": fyers_id(order),
            "instrument": 0,
            "lot_size": market.instrument.lot_size,
            "offline_flag": False,
            "oms_flag": "K:1",
            "ord_source": "ITS" if order.via_api else "M",
            "ord_status": _INNER_STATUSES[number],
            "org_ord_status": number,
            "ord_type": TYPES[snapshot.order_type],
            "ordertag": tag_text(order.tag),
            "price_limit": rupees(snapshot.price),
            "price_stop": rupees(snapshot.trigger_price),
            "qty": snapshot.quantity,
            "qty_remaining": 0 if snapshot.status.is_terminal else snapshot.pending,
            "product_type": PRODUCTS[order.product],
            "status_msg": snapshot.status,
            "symbol": symbols.ticker(market.instrument),
            "symbol_desc": market.instrument.name,
            "symbol_exch": market.instrument.symbol,
            "tick_size": rupees(market.instrument.tick_size),
            "time_epoch_oms": snapshot.at_ns // SECOND_NS,
            "time_oms": time_text(snapshot.at_ns),
            "time_exch": time_text(snapshot.exchange_at_ns) if snapshot.exchange_order_id else "NA",
            "tran_side": SIDES[order.side],
            "validity": snapshot.validity,
        }
        if snapshot.exchange_order_id:
            row["id_exchange"] = snapshot.exchange_order_id
        if snapshot.filled:
            row["qty_filled"] = snapshot.filled
            row["price_traded"] = average(snapshot.filled_value, snapshot.filled)
        if snapshot.message:
            row["oms_msg"] = snapshot.message
        return row

    def trade_update(self, order: Order, trade: Trade) -> Row:
        """A fill on the order socket."""
        market = self._exchange.markets[trade.instrument]
        return {
            "client_id": self._exchange.accounts[trade.account].user_id,
            "exchange": symbols.exchange_number(market.instrument),
            "segment": symbols.segment_number(market.instrument),
            "fy_token": symbols.fy_token(market.instrument),
            "id_fill": f"{trade.order_id}-{trade.trade_id}",
            "id": trade.order_id,
            "id_exchange": trade.exchange_order_id,
            "qty_traded": trade.quantity,
            "price_traded": rupees(trade.price),
            "traded_val": rupees(trade.price * trade.quantity),
            "fill_time": time_text(trade.at_ns),
            "ord_type": TYPES[order.order_type],
            "tran_side": SIDES[trade.side],
            "product_type": PRODUCTS[trade.product],
            "symbol": symbols.ticker(market.instrument),
            "ordertag": tag_text(order.tag),
        }

    def trade(self, trade: Trade, number: int) -> Row:
        """The trade book's row."""
        order = self._exchange.orders[trade.order_id]
        return {
            "clientId": self._exchange.accounts[trade.account].user_id,
            "orderDateTime": time_text(trade.at_ns),
            "orderNumber": trade.order_id,
            "exchangeOrderNo": trade.exchange_order_id,
            **self._instrument(trade.instrument),
            "side": SIDES[trade.side],
            "orderType": TYPES[order.order_type],
            "productType": PRODUCTS[trade.product],
            "tradedQty": trade.quantity,
            "tradePrice": rupees(trade.price),
            "tradeValue": rupees(trade.price * trade.quantity),
            "tradeNumber": f"{trade.order_id}-{trade.trade_id}",
            "row": number,
            "orderTag": tag_text(order.tag),
        }

    def positions(self, account: Account) -> tuple[list[Row], Row]:
        """Rows for all positions with quantity or trades today, and their sums."""
        held = [position for position in account.positions.values() if not position.is_empty]
        rows = [self._position(position, number) for number, position in enumerate(held, start=1)]
        realised, open_profit = (sum(row[name] for row in rows) for name in ("realized_profit", "unrealized_profit"))
        return rows, {
            "count_total": len(rows),
            "count_open": sum(row["netQty"] != 0 for row in rows),
            "pl_total": realised + open_profit,
            "pl_realized": realised,
            "pl_unrealized": open_profit,
        }

    def _position(self, position: Position, number: int) -> Row:
        market = self._exchange.markets[position.instrument]
        carried = position.overnight_quantity
        bought = position.day_buy_quantity + max(carried, 0)
        sold = position.day_sell_quantity + max(-carried, 0)
        bought_value = position.day_buy_value + (position.overnight_value if carried > 0 else 0)
        sold_value = position.day_sell_value + (position.overnight_value if carried < 0 else 0)
        at_market = position.net * market.last_price
        open_profit = at_market - position.open_value if position.net > 0 else at_market + position.open_value
        word = PRODUCTS[position.product]
        held_at = average(position.open_value, abs(position.net))
        return {
            "id": f"{symbols.ticker(market.instrument)}-{word}",
            **self._instrument(position.instrument),
            "netQty": position.net,
            "qty": abs(position.net),
            "netAvg": held_at,
            "avgPrice": held_at,
            "side": (position.net > 0) - (position.net < 0),
            "productType": word,
            "buyQty": bought,
            "buyAvg": average(bought_value, bought),
            "buyVal": rupees(bought_value),
            "sellQty": sold,
            "sellAvg": average(sold_value, sold),
            "sellVal": rupees(sold_value),
            "realized_profit": rupees(position.realised),
            "unrealized_profit": rupees(open_profit) if position.net else 0,
            "pl": rupees(position.realised + (open_profit if position.net else 0)),
            "ltp": rupees(market.last_price),
            "crossCurrency": "N",
            "rbiRefRate": 1,
            "qtyMulti_com": 1,
            "cfBuyQty": max(carried, 0),
            "cfSellQty": max(-carried, 0),
            "dayBuyQty": position.day_buy_quantity,
            "daySellQty": position.day_sell_quantity,
            "slNo": number,
        }

    def holdings(self, account: Account) -> tuple[list[Row], Row]:
        """Delivered shares, and their sums."""
        rows = [self._holding(holding, number) for number, holding in enumerate(account.holdings.values(), start=1)]
        invested = sum(row["costPrice"] * row["quantity"] for row in rows)
        worth = sum(row["marketVal"] for row in rows)
        return rows, {
            "count_total": len(rows),
            "total_investment": invested,
            "total_current_value": worth,
            "total_pl": worth - invested,
            "pnl_perc": round((worth - invested) * 100 / invested, 4) if invested else 0,
        }

    def _holding(self, holding: Holding, number: int) -> Row:
        market = self._exchange.markets[holding.instrument]
        quantity = holding.quantity + holding.t1_quantity
        return {
            **self._instrument(holding.instrument),
            "holdingType": "HLD" if holding.quantity else "T1",
            "quantity": quantity,
            "remainingQuantity": quantity,
            "costPrice": rupees(holding.average_price),
            "marketVal": rupees(market.last_price * quantity),
            "ltp": rupees(market.last_price),
            "pl": rupees((market.last_price - holding.average_price) * quantity),
            "isin": f"INE{market.instrument.exchange_token:06d}010"[:12],
            "qty_t1": holding.t1_quantity,
            "collateralQuantity": 0,
            "remainingPledgeQuantity": 0,
            "id": number,
        }

    def funds(self, account: Account) -> list[Row]:
        """The ten rows of the funds."""
        total, available = rupees(account.funds), rupees(account.available)
        used = rupees(account.funds - account.available)
        amounts = (
            ("Total Balance", total), ("Utilized Amount", used), ("Clear Balance", available),
            ("Realized Profit and Loss", rupees(account.realised)), ("Collaterals", 0), ("Fund Transfer", 0), ("Receivables", 0),
            ("Adhoc Limit", 0), ("Limit at start of the day", total), ("Available Balance", available),
        )  # fmt: skip
        return [
            {"id": number, "title": title, "equityAmount": amount, "commodityAmount": 0}
            for number, (title, amount) in enumerate(amounts, start=1)
        ]

    def _instrument(self, key: str) -> Row:
        instrument = self._exchange.markets[key].instrument
        return {
            "fyToken": symbols.fy_token(instrument),
            "exchange": symbols.exchange_number(instrument),
            "segment": symbols.segment_number(instrument),
            "symbol": self._symbols.ticker(key),
        }
