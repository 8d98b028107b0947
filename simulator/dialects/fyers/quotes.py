"""Prices over REST (Fyers API v3 documentation, "Quotes", "Market depth", "Market status"), and symbols to tokens."""

from typing import Any

from simulator.clock import SECOND_NS
from simulator.dialects.common.reply import Reply
from simulator.dialects.fyers import symbols
from simulator.dialects.fyers.call import Call
from simulator.dialects.fyers.envelope import FyersError, input_error, success
from simulator.dialects.fyers.symbols import SymbolMap
from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import Kind
from simulator.exchange.market import Level, Market
from simulator.exchange.orders import Side
from simulator.money import rupees

Row = dict[str, Any]
MOST_QUOTES = 50
_MOST_TOKENS = 500
_LEVELS = 5
_BAD_SYMBOL = -300


class QuoteEndpoints:
    """Prices by request."""

    def __init__(self, exchange: Exchange, symbol_map: SymbolMap) -> None:
        self._exchange = exchange
        self._symbols = symbol_map

    def quotes(self, call: Call) -> Reply:
        """`GET /data/quotes?symbols=`: a symbol nobody knows has an error of its own."""
        wanted = call.text("symbols").split(",")
        if len(wanted) > MOST_QUOTES:
            raise input_error(f"symbols should be at most {MOST_QUOTES}")
        return success(d=[self._quote(name) for name in wanted])

    def _quote(self, name: str) -> Row:
        market = self._symbols.market(name)
        if market is None:
            return {"n": name, "s": "error", "v": {"code": _BAD_SYMBOL, "errmsg": "Invalid symbol provided"}}
        buys, sells = market.depth_rows(Side.BUY), market.depth_rows(Side.SELL)
        bid, ask = (rows[0].price if rows else 0 for rows in (buys, sells))
        change = market.last_price - market.close
        value = {
            "ch": rupees(change),
            "chp": _percent(change, market.close),
            "lp": rupees(market.last_price),
            "spread": rupees(max(0, ask - bid)),
            "ask": rupees(ask),
            "bid": rupees(bid),
            "open_price": rupees(market.open),
            "high_price": rupees(market.high),
            "low_price": rupees(market.low),
            "prev_close_price": rupees(market.close),
            "atp": rupees(market.traded_value // market.volume) if market.volume else 0,
            "volume": market.volume,
            "short_name": name.partition(":")[2],
            "exchange": name.partition(":")[0],
            "description": market.instrument.name,
            "original_name": name,
            "symbol": name,
            "fyToken": symbols.fy_token(market.instrument),
            "tt": str(market.priced_ns // SECOND_NS),
        }
        return {"n": name, "s": "ok", "v": value}

    def depth(self, call: Call) -> Reply:
        """`GET /data/depth?symbol=&ohlcv_flag=1`."""
        name = call.text("symbol")
        market = self._symbols.market(name)
        if market is None:
            raise FyersError(400, _BAD_SYMBOL, "Invalid symbol provided")
        buys, sells = market.depth_rows(Side.BUY), market.depth_rows(Side.SELL)
        row: Row = {
            "totalbuyqty": sum(level.quantity for level in buys),
            "totalsellqty": sum(level.quantity for level in sells),
            "bids": _levels(buys),
            "ask": _levels(sells),
        }
        if call.given.get("ohlcv_flag") == "1":
            row |= self._day(market)
        return success(d={name: row})

    def _day(self, market: Market) -> Row:
        change = market.last_price - market.close
        is_index = market.instrument.kind is Kind.INDEX
        return {
            "o": rupees(market.open),
            "h": rupees(market.high),
            "l": rupees(market.low),
            "c": rupees(market.close),
            "ch": rupees(change),
            "chp": _percent(change, market.close),
            "tick_Size": rupees(market.instrument.tick_size),
            "ltq": market.last_quantity,
            "ltt": market.last_trade_ns // SECOND_NS,
            "ltp": rupees(market.last_price),
            "v": market.volume,
            "atp": rupees(market.traded_value // market.volume) if market.volume else 0,
            "lower_ckt": 0 if is_index else rupees(market.lower_circuit),
            "upper_ckt": 0 if is_index else rupees(market.upper_circuit),
            "expiry": market.instrument.expiry,
            "oi": 0,
            "oiflag": False,
            "pdoi": 0,
            "oipercent": 0.0,
        }

    def status(self, call: Call) -> Reply:
        """`GET /data/marketStatus`."""
        state = "OPEN" if self._exchange.is_open() else "CLOSED"
        shown = [
            {"exchange": exchange, "segment": segment, "market_type": "NORMAL", "status": state}
            for exchange, segment in ((10, 10), (10, 11), (12, 10))
        ]
        return success(marketStatus=shown)

    def tokens(self, call: Call) -> Reply:
        """`POST /data/symbol-token`, which the broker's own client asks before it subscribes."""
        wanted = call.given.get("symbols")
        if not isinstance(wanted, list) or len(wanted) > _MOST_TOKENS or not all(isinstance(name, str) for name in wanted):
            raise input_error("symbols is invalid")
        found = {name: self._symbols.market(name) for name in wanted}
        return success(
            validSymbol={name: symbols.fy_token(market.instrument) for name, market in found.items() if market is not None},
            invalidSymbol=[name for name, market in found.items() if market is None],
        )


def _percent(change: int, close: int) -> float:
    return round(change * 100 / close, 2) if close else 0


def _levels(levels: list[Level]) -> list[Row]:
    rows = [{"price": rupees(level.price), "volume": level.quantity, "ord": level.orders} for level in levels]
    return rows + [{"price": 0, "volume": 0, "ord": 0}] * (_LEVELS - len(rows))
