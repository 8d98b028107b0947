"""Prices over REST (DhanHQ v2 documentation, "Market quote")."""

from collections.abc import Callable

from simulator.clock import india_text
from simulator.dialects.common.reply import Reply
from simulator.dialects.dhan.call import Call
from simulator.dialects.dhan.errors import DataError
from simulator.dialects.dhan.orders import answer
from simulator.dialects.dhan.segments import WORDS, SecurityIds
from simulator.dialects.dhan.shapes import Row
from simulator.exchange.market import Level, Market
from simulator.exchange.orders import Side
from simulator.money import rupees

_MOST = 1_000
_LEVELS = 5


class QuoteEndpoints:
    """Prices by request; unknown instruments are silently absent."""

    def __init__(self, ids: SecurityIds) -> None:
        self._ids = ids

    def ltp(self, call: Call) -> Reply:
        """`POST /marketfeed/ltp`."""
        return self._answer(call, _ltp)

    def ohlc(self, call: Call) -> Reply:
        """`POST /marketfeed/ohlc`."""
        return self._answer(call, lambda market: _ltp(market) | {"ohlc": _ohlc(market)})

    def quote(self, call: Call) -> Reply:
        """`POST /marketfeed/quote`."""
        return self._answer(call, _quote)

    def _answer(self, call: Call, row: Callable[[Market], Row]) -> Reply:
        if call.header("client-id") != call.account.user_id:
            raise DataError(401, "810", "Client ID is invalid")
        wanted = {word: ids for word, ids in call.given.items() if word != "dhanClientId"}
        if not wanted or not all(word in WORDS and isinstance(ids, list) for word, ids in wanted.items()):
            raise DataError(400, "814", "Invalid Request")
        if sum(map(len, wanted.values())) > _MOST:
            raise DataError(400, "804", "Requested number of instruments exceeds limit")
        data: dict[str, Row] = {}
        for word, ids in wanted.items():
            found = ((str(one), self._ids.market(word, one)) for one in ids)
            data[word] = {one: row(market) for one, market in found if market is not None}
        return answer({"data": data, "status": "success"})


def _ltp(market: Market) -> Row:
    return {"last_price": rupees(market.last_price)}


def _quote(market: Market) -> Row:
    buys, sells = market.depth_rows(Side.BUY), market.depth_rows(Side.SELL)
    date, clock = india_text(market.last_trade_ns).split(" ")
    return {
        "average_price": rupees(market.traded_value // market.volume) if market.volume else 0,
        "buy_quantity": sum(level.quantity for level in buys),
        "depth": {"buy": _depth(buys), "sell": _depth(sells)},
        "last_price": rupees(market.last_price),
        "last_quantity": market.last_quantity,
        "last_trade_time": "/".join(reversed(date.split("-"))) + f" {clock}",
        "lower_circuit_limit": rupees(market.lower_circuit),
        "net_change": rupees(market.last_price - market.close),
        "ohlc": _ohlc(market),
        "oi": 0,
        "oi_day_high": 0,
        "oi_day_low": 0,
        "sell_quantity": sum(level.quantity for level in sells),
        "upper_circuit_limit": rupees(market.upper_circuit),
        "volume": market.volume,
    }


def _ohlc(market: Market) -> Row:
    return {
        "open": rupees(market.open), "close": rupees(market.close), "high": rupees(market.high), "low": rupees(market.low),
    }  # fmt: skip


def _depth(levels: list[Level]) -> list[Row]:
    rows = [{"quantity": level.quantity, "orders": level.orders, "price": rupees(level.price)} for level in levels]
    return rows + [{"quantity": 0, "orders": 0, "price": 0}] * (_LEVELS - len(rows))
