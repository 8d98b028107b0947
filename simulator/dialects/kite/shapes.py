"""Orders, trades, positions, holdings and funds in this broker's JSON (Kite Connect v3, "Orders", "Portfolio", "User")."""

from typing import Any

from simulator.clock import india_text
from simulator.dialects.common.rows import OrderRows
from simulator.dialects.kite.tokens import TokenMap
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.exchange.orders import Order, Snapshot, Trade
from simulator.exchange.positions import Holding, Position
from simulator.money import average, rupees

Row = dict[str, Any]
_EXCHANGE_ONLY_AFTER = 3
"""The first states of an order (received, validation pending, open pending) have not reached the exchange."""


class Shapes(OrderRows):
    """Makes rows."""

    def __init__(self, exchange: Exchange, tokens: TokenMap) -> None:
        super().__init__()
        self._exchange = exchange
        self._tokens = tokens

    def order(self, order: Order, snapshot: Snapshot) -> Row:
        """The order object as it was at a snapshot."""
        at_exchange = snapshot.exchange_order_id is not None
        row = {
            "account_id": self._user_id(order.account),
            "placed_by": order.placed_by,
            "order_id": order.order_id,
            "exchange_order_id": snapshot.exchange_order_id,
            "parent_order_id": None,
            "status": snapshot.status,
            "status_message": snapshot.message,
            "status_message_raw": snapshot.message_raw,
            "order_timestamp": india_text(order.created_ns),
            "exchange_update_timestamp": india_text(snapshot.exchange_at_ns) if at_exchange else None,
            "exchange_timestamp": india_text(order.history[_EXCHANGE_ONLY_AFTER].at_ns) if at_exchange else None,
            "variety": "regular",
            "modified": snapshot.modified,
            **self._instrument(order.instrument),
            "order_type": snapshot.order_type,
            "transaction_type": order.side,
            "validity": snapshot.validity,
            "validity_ttl": 0,
            "product": order.product,
            "quantity": snapshot.quantity,
            "disclosed_quantity": snapshot.disclosed_quantity,
            "price": rupees(snapshot.price),
            "trigger_price": rupees(snapshot.trigger_price),
            "average_price": average(snapshot.filled_value, snapshot.filled),
            "filled_quantity": snapshot.filled,
            "pending_quantity": snapshot.pending,
            "cancelled_quantity": snapshot.cancelled,
            "market_protection": float(snapshot.market_protection) if "." in snapshot.market_protection
            else int(snapshot.market_protection),
            "meta": {},
            "tag": order.tag,
            "guid": f"{self._exchange.accounts[order.account].app_id}X{order.order_id[-12:]}" if order.via_api else None,
        }  # fmt: skip
        if order.tags:
            row["tags"] = order.tags
        return row

    def history(self, order: Order) -> list[Row]:
        """The state snapshots, oldest first, with fewer fields than the order book."""
        return [self._history_row(order, snapshot) for snapshot in order.history]

    def _history_row(self, order: Order, snapshot: Snapshot) -> Row:
        at_exchange = snapshot.exchange_order_id is not None
        row = {
            "average_price": average(snapshot.filled_value, snapshot.filled),
            "cancelled_quantity": snapshot.cancelled,
            "disclosed_quantity": snapshot.disclosed_quantity,
            "exchange_order_id": snapshot.exchange_order_id,
            "exchange_timestamp": india_text(snapshot.exchange_at_ns) if at_exchange else None,
            "filled_quantity": snapshot.filled,
            **self._instrument(order.instrument),
            "order_id": order.order_id,
            "order_timestamp": india_text(snapshot.at_ns),
            "order_type": snapshot.order_type,
            "parent_order_id": None,
            "pending_quantity": snapshot.pending,
            "placed_by": order.placed_by,
            "price": rupees(snapshot.price),
            "product": order.product,
            "quantity": snapshot.quantity,
            "status": snapshot.status,
            "status_message": snapshot.message,
            "status_message_raw": snapshot.message_raw,
            "tag": order.tag,
            "transaction_type": order.side,
            "trigger_price": rupees(snapshot.trigger_price),
            "validity": snapshot.validity,
            "variety": "regular",
            "modified": snapshot.modified,
        }
        if order.tags:
            row["tags"] = order.tags
        return row

    def update(self, order: Order, snapshot: Snapshot, *, checksum: str = "") -> Row:
        """The postback object, which order updates on the ticker carry too (with an empty checksum)."""
        row = self.order(order, snapshot)
        row.pop("account_id")
        account = self._exchange.accounts[order.account]
        return {
            "user_id": account.user_id,
            "unfilled_quantity": snapshot.pending,
            "app_id": account.app_id,
            "checksum": checksum,
            **row,
            "status": snapshot.status if snapshot.status.is_terminal else "UPDATE",
        }

    def trade(self, trade: Trade) -> Row:
        """One fill."""
        filled_at = india_text(trade.at_ns)
        return {
            "trade_id": trade.trade_id,
            "order_id": trade.order_id,
            **self._instrument(trade.instrument),
            "product": trade.product,
            "average_price": rupees(trade.price),
            "quantity": trade.quantity,
            "exchange_order_id": trade.exchange_order_id,
            "transaction_type": trade.side,
            "fill_timestamp": filled_at,
            "order_timestamp": india_text(trade.ordered_ns)[11:],
            "exchange_timestamp": filled_at,
        }

    def positions(self, account: Account) -> dict[str, list[Row]]:
        """Net rows for all positions with quantity or trades today, day rows for those traded today."""
        held = [position for position in account.positions.values() if not position.is_empty]
        traded = [position for position in held if position.day_buy_quantity or position.day_sell_quantity]
        return {
            "net": [self._position(position, overnight=True) for position in held],
            "day": [self._position(position, overnight=False) for position in traded],
        }

    def _position(self, position: Position, *, overnight: bool) -> Row:
        market = self._exchange.markets[position.instrument]
        carried, carried_value = (position.overnight_quantity, position.overnight_value) if overnight else (0, 0)
        long, short = max(carried, 0), max(-carried, 0)
        bought, sold = long + position.day_buy_quantity, short + position.day_sell_quantity
        bought_value = position.day_buy_value + (carried_value if carried > 0 else 0)
        sold_value = position.day_sell_value + (carried_value if carried < 0 else 0)
        bought_m2m = position.day_buy_value + long * market.close
        sold_m2m = position.day_sell_value + short * market.close
        quantity = bought - sold
        at_market = quantity * market.last_price
        profit = rupees(sold_value - bought_value + at_market)
        return {
            "tradingsymbol": market.instrument.symbol,
            "exchange": market.instrument.exchange,
            "instrument_token": self._tokens.token(position.instrument),
            "product": position.product,
            "quantity": quantity,
            "overnight_quantity": carried,
            "multiplier": 1,
            "average_price": _position_average(position, quantity, bought, bought_value, sold, sold_value, overnight=overnight),
            "close_price": rupees(market.close),
            "last_price": rupees(market.last_price),
            "value": rupees(sold_value - bought_value),
            "pnl": profit,
            "m2m": rupees(sold_m2m - bought_m2m + at_market),
            "unrealised": profit,
            "realised": 0,
            "buy_quantity": bought,
            "buy_price": average(bought_value, bought),
            "buy_value": rupees(bought_value),
            "buy_m2m": rupees(bought_m2m),
            "sell_quantity": sold,
            "sell_price": average(sold_value, sold),
            "sell_value": rupees(sold_value),
            "sell_m2m": rupees(sold_m2m),
            "day_buy_quantity": position.day_buy_quantity,
            "day_buy_price": average(position.day_buy_value, position.day_buy_quantity),
            "day_buy_value": rupees(position.day_buy_value),
            "day_sell_quantity": position.day_sell_quantity,
            "day_sell_price": average(position.day_sell_value, position.day_sell_quantity),
            "day_sell_value": rupees(position.day_sell_value),
        }

    def holding(self, holding: Holding) -> Row:
        """One holding."""
        market = self._exchange.markets[holding.instrument]
        change = market.last_price - market.close
        return {
            "tradingsymbol": market.instrument.symbol,
            "exchange": market.instrument.exchange,
            "instrument_token": self._tokens.token(holding.instrument),
            "isin": f"INE{market.instrument.exchange_token:06d}010"[:12],
            "product": "CNC",
            "price": 0,
            "quantity": holding.quantity,
            "used_quantity": holding.used,
            "t1_quantity": holding.t1_quantity,
            "realised_quantity": holding.quantity,
            "authorised_quantity": 0,
            "authorised_date": f"{self._exchange.trading_day} 00:00:00",
            "authorisation": {},
            "opening_quantity": holding.quantity,
            "short_quantity": 0,
            "collateral_quantity": 0,
            "collateral_type": "",
            "discrepancy": False,
            "average_price": rupees(holding.average_price),
            "last_price": rupees(market.last_price),
            "close_price": rupees(market.close),
            "pnl": rupees((market.last_price - holding.average_price) * (holding.quantity + holding.t1_quantity)),
            "day_change": rupees(change),
            "day_change_percentage": change * 100 / market.close if market.close else 0,
            "mtf": {"quantity": 0, "used_quantity": 0, "average_price": 0, "value": 0, "initial_margin": 0},
        }

    def funds(self, account: Account) -> Row:
        """The equity segment."""
        net, used = rupees(account.available), account.funds - account.available
        unrealised = sum(
            position.net * self._exchange.markets[position.instrument].last_price
            - (position.open_value if position.net > 0 else -position.open_value)
            for position in account.positions.values()
        )
        return {
            "enabled": True,
            "net": net,
            "available": {
                "adhoc_margin": 0, "cash": rupees(account.funds), "opening_balance": rupees(account.funds),
                "live_balance": net, "collateral": 0, "intraday_payin": 0,
            },
            "utilised": {
                "debits": rupees(used), "exposure": rupees(account.position_margin + account.order_margin),
                "m2m_realised": rupees(account.realised), "m2m_unrealised": rupees(unrealised), "option_premium": 0,
                "payout": 0, "span": 0, "holding_sales": 0, "turnover": 0, "liquid_collateral": 0,
                "stock_collateral": 0, "delivery": rupees(max(0, -account.cash_flow)),
            },
        }  # fmt: skip

    def _instrument(self, key: str) -> Row:
        exchange, _, symbol = key.partition(":")
        return {"exchange": exchange, "tradingsymbol": symbol, "instrument_token": self._tokens.token(key)}

    def _user_id(self, api_key: str) -> str:
        return self._exchange.accounts[api_key].user_id


def _position_average(
    position: Position, quantity: int, bought: int, bought_value: int, sold: int, sold_value: int, *, overnight: bool
) -> int | float:
    if quantity == 0:
        return 0
    if overnight:
        return average(position.open_value, abs(quantity))
    return average(bought_value, bought) if quantity > 0 else average(sold_value, sold)


def no_commodity_funds() -> Row:
    """The commodity segment: enabled and empty."""
    return {
        "enabled": True, "net": 0,
        "available": dict.fromkeys(
            ("adhoc_margin", "cash", "opening_balance", "live_balance", "collateral", "intraday_payin"), 0
        ),
        "utilised": dict.fromkeys(
            (
                "debits", "exposure", "m2m_realised", "m2m_unrealised", "option_premium", "payout", "span",
                "holding_sales", "turnover", "liquid_collateral", "stock_collateral", "delivery",
            ), 0,
        ),
    }  # fmt: skip
