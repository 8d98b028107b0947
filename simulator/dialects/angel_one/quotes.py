"""Prices and instruments by request (SmartAPI documentation, "Market Data", "Search Scrip"); what is unknown is `unfetched`."""

from typing import Any

from simulator.dialects.angel_one import tokens
from simulator.dialects.angel_one.call import Call
from simulator.dialects.angel_one.envelope import AngelError, bad_input, success
from simulator.dialects.angel_one.shapes import Row, angel_time
from simulator.dialects.angel_one.tokens import TokenMap
from simulator.dialects.common.reply import Reply
from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import Kind
from simulator.exchange.market import Level, Market
from simulator.exchange.orders import Side
from simulator.money import rupees

_MOST_QUOTES = 50
_LEVELS = 5


class QuoteEndpoints:
    def __init__(self, exchange: Exchange, tokens: TokenMap) -> None:
        self._exchange = exchange
        self._tokens = tokens

    def quote(self, call: Call) -> Reply:
        """`POST quote/`: `{"mode", "exchangeTokens": {"NSE": ["3045"]}}`."""
        mode = call.required("mode").upper()
        wanted = _wanted(call.data.get("exchangeTokens"))
        if mode not in ("LTP", "OHLC", "FULL") or not wanted or len(wanted) > _MOST_QUOTES:
            raise bad_input()
        fetched: list[Row] = []
        unfetched: list[Row] = []
        for exchange, token in wanted:
            market = self._tokens.market(exchange, token)
            if market is None:
                missing = {"exchange": exchange, "symbolToken": token, "message": "Symbol not found", "errorCode": "AB4018"}
                unfetched.append(missing)
            else:
                fetched.append(_quoted(market, mode))
        return success({"fetched": fetched, "unfetched": unfetched})

    def ltp(self, call: Call) -> Reply:
        """`POST getLtpData`."""
        market = self._tokens.market(call.required("exchange").upper(), call.required("symboltoken"))
        if market is None:
            raise AngelError("AB1018", "Symbol Not Found")
        return success({
            "exchange": market.instrument.exchange, "tradingsymbol": tokens.symbol(market.instrument),
            "symboltoken": tokens.token(market.instrument), **_ohlc(market), "ltp": rupees(market.last_price),
        })  # fmt: skip

    def search(self, call: Call) -> Reply:
        """`POST searchScrip`."""
        exchange, text = call.required("exchange").upper(), call.required("searchscrip").upper()
        found = (market.instrument for market in self._exchange.markets.values())
        return success([
            {"exchange": one.exchange, "tradingsymbol": tokens.symbol(one), "symboltoken": tokens.token(one)}
            for one in found
            if one.exchange == exchange and text in tokens.symbol(one).upper()
        ])  # fmt: skip


def _wanted(value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, dict) or not all(isinstance(found, list) for found in value.values()):
        raise bad_input()
    return [(str(exchange).upper(), str(token)) for exchange, found in value.items() for token in found]


def _quoted(market: Market, mode: str) -> Row:
    row: Row = {
        "exchange": market.instrument.exchange,
        "tradingSymbol": tokens.symbol(market.instrument),
        "symbolToken": tokens.token(market.instrument),
        "ltp": rupees(market.last_price),
    }
    if mode == "LTP":
        return row
    row |= _ohlc(market)
    return row if mode == "OHLC" else row | _full(market)


def _full(market: Market) -> Row:
    has_limits = market.instrument.kind is not Kind.INDEX
    buys, sells = market.depth_rows(Side.BUY), market.depth_rows(Side.SELL)
    change = market.last_price - market.close
    return {
        "lastTradeQty": market.last_quantity,
        "exchFeedTime": angel_time(market.priced_ns),
        "exchTradeTime": angel_time(market.last_trade_ns),
        "netChange": rupees(change),
        "percentChange": round(change * 100 / market.close, 2) if market.close else 0,
        "avgPrice": rupees(market.traded_value // market.volume) if market.volume else 0,
        "tradeVolume": market.volume,
        "opnInterest": 0,
        "lowerCircuit": rupees(market.lower_circuit) if has_limits else 0,
        "upperCircuit": rupees(market.upper_circuit) if has_limits else 0,
        "totBuyQuan": sum(level.quantity for level in buys),
        "totSellQuan": sum(level.quantity for level in sells),
        "52WeekLow": rupees(market.low),
        "52WeekHigh": rupees(market.high),
        "depth": {"buy": _depth(buys), "sell": _depth(sells)},
    }


def _ohlc(market: Market) -> Row:
    return {
        "open": rupees(market.open), "high": rupees(market.high), "low": rupees(market.low), "close": rupees(market.close),
    }  # fmt: skip


def _depth(levels: list[Level]) -> list[Row]:
    rows = [{"price": rupees(level.price), "quantity": level.quantity, "orders": level.orders} for level in levels]
    return rows + [{"price": 0, "quantity": 0, "orders": 0}] * (_LEVELS - len(rows))
