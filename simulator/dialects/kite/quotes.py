"""Quotes over REST (Kite Connect v3 documentation, "Market quotes and instruments")."""

from collections.abc import Callable

from simulator.clock import india_text
from simulator.dialects.common.reply import Reply
from simulator.dialects.kite.call import Call
from simulator.dialects.kite.envelope import input_error, success
from simulator.dialects.kite.shapes import Row
from simulator.dialects.kite.tokens import TokenMap, parse_token
from simulator.exchange.engine import Exchange
from simulator.exchange.instruments import Kind
from simulator.exchange.market import Level, Market
from simulator.exchange.orders import Side
from simulator.money import rupees

_MOST_QUOTES = 500
_MOST_PRICES = 1_000
_LEVELS = 5


class QuoteEndpoints:
    """Prices by request; unknown instruments are silently absent."""

    def __init__(self, exchange: Exchange, tokens: TokenMap) -> None:
        self._exchange = exchange
        self._tokens = tokens

    def ltp(self, call: Call) -> Reply:
        """`GET /quote/ltp?i=`."""
        return self._answer(call, _MOST_PRICES, self._ltp)

    def ohlc(self, call: Call) -> Reply:
        """`GET /quote/ohlc?i=`."""
        return self._answer(call, _MOST_PRICES, lambda market: {**self._ltp(market), "ohlc": _ohlc(market)})

    def quote(self, call: Call) -> Reply:
        """`GET /quote?i=`."""
        return self._answer(call, _MOST_QUOTES, self._quote)

    def _answer(self, call: Call, most: int, row: Callable[[Market], Row]) -> Reply:
        wanted = call.many("i")
        if not wanted:
            raise input_error("Missing or empty field `i`")
        if len(wanted) > most:
            raise input_error(f"At most {most} instruments can be asked for at once.")
        found = ((key, self._find(key)) for key in wanted)
        return success({key: row(market) for key, market in found if market is not None})

    def _find(self, key: str) -> Market | None:
        token = parse_token(key)
        return self._exchange.markets.get(key) if token is None else self._tokens.market(token)

    def _ltp(self, market: Market) -> Row:
        return {"instrument_token": self._tokens.token(market.instrument.key), "last_price": rupees(market.last_price)}

    def _quote(self, market: Market) -> Row:
        row = self._ltp(market) | {
            "timestamp": india_text(market.priced_ns),
            "last_trade_time": india_text(market.last_trade_ns),
            "last_quantity": market.last_quantity,
            "buy_quantity": sum(level.quantity for level in market.depth_rows(Side.BUY)),
            "sell_quantity": sum(level.quantity for level in market.depth_rows(Side.SELL)),
            "volume": market.volume,
            "average_price": rupees(market.traded_value // market.volume) if market.volume else 0,
            "oi": 0,
            "oi_day_high": 0,
            "oi_day_low": 0,
            "net_change": rupees(market.last_price - market.close),
            "lower_circuit_limit": rupees(market.lower_circuit),
            "upper_circuit_limit": rupees(market.upper_circuit),
            "ohlc": _ohlc(market),
            "depth": {"buy": _depth(market.depth_rows(Side.BUY)), "sell": _depth(market.depth_rows(Side.SELL))},
        }
        if market.instrument.kind is Kind.INDEX:
            return {name: row[name] for name in ("instrument_token", "timestamp", "last_price", "net_change", "ohlc")}
        return row


def _ohlc(market: Market) -> Row:
    return {
        "open": rupees(market.open), "high": rupees(market.high), "low": rupees(market.low), "close": rupees(market.close),
    }  # fmt: skip


def _depth(levels: list[Level]) -> list[Row]:
    rows = [{"price": rupees(level.price), "quantity": level.quantity, "orders": level.orders} for level in levels]
    return rows + [{"price": 0, "quantity": 0, "orders": 0}] * (_LEVELS - len(rows))
