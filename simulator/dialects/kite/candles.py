"""Historical candles (Kite Connect v3 documentation, "Historical candle data"): kept ticks, and before them an invented past."""

import random
import time
from collections.abc import Iterator

from simulator.clock import INDIA_OFFSET_SECONDS, SECOND_NS, parse_india
from simulator.dialects.common.reply import Reply
from simulator.dialects.kite.call import Call
from simulator.dialects.kite.envelope import input_error, success
from simulator.dialects.kite.tokens import TokenMap, parse_token
from simulator.exchange.engine import Exchange
from simulator.exchange.market import Bar, Market
from simulator.exchange.sessions import Hours
from simulator.money import rupees

_MINUTES = {
    "minute": 1, "3minute": 3, "5minute": 5, "10minute": 10, "15minute": 15, "30minute": 30, "60minute": 60, "day": 1440,
}  # fmt: skip
_MOST_CANDLES = 5_000
_OPEN_MINUTE, _CLOSE_MINUTE = 9 * 60 + 15, 15 * 60 + 30
_INDIA_MINUTES = INDIA_OFFSET_SECONDS // 60
_EPOCH_WEEKDAY = 3
_SATURDAY = 5


class CandleEndpoints:
    """Candles of one instrument over a range."""

    def __init__(self, exchange: Exchange, tokens: TokenMap, *, seed: int) -> None:
        self._exchange = exchange
        self._tokens = tokens
        self._seed = seed

    def historical(self, call: Call) -> Reply:
        """`GET /instruments/historical/{token}/{interval}?from=&to=&oi=`."""
        width = _MINUTES.get(call.path("interval"))
        if width is None:
            raise input_error("Invalid `interval`.")
        token = parse_token(call.path("token"))
        market = None if token is None else self._tokens.market(token)
        if market is None:
            raise input_error("Invalid `instrument_token`.")
        first, last = self._range(call)
        with_interest = [0] if call.fields.get("oi") == "1" else []
        return success({"candles": [_row(bar) + with_interest for bar in self._bars(market, first, last, width)]})

    def _range(self, call: Call) -> tuple[int, int]:
        try:
            first, last = parse_india(call.required("from")), parse_india(call.required("to"))
        except ValueError:
            raise input_error("Invalid `from` or `to` date.") from None
        if first > last:
            raise input_error("The `from` date is after the `to` date.")
        minute = 60 * SECOND_NS
        return first // minute, min(last, self._exchange.clock()) // minute

    def _bars(self, market: Market, first: int, last: int, width: int) -> Iterator[Bar]:
        real = {bar.minute: bar for bar in market.bars}
        starts = list(self._starts(first, last, width))
        for start in starts[-_MOST_CANDLES:]:
            inside = [real[minute] for minute in range(start, start + min(width, 1440)) if minute in real] if real else []
            yield _merged(start, inside) if inside else self._invented(market, start, width)

    def _starts(self, first: int, last: int, width: int) -> Iterator[int]:
        """Candle starts in epoch minutes, aligned to the session's opening."""
        sessions = self._exchange.hours is not Hours.ALWAYS_OPEN
        opening, closing = (_OPEN_MINUTE, _CLOSE_MINUTE) if sessions else (0, 1440)
        for day in range((first + _INDIA_MINUTES) // 1440, (last + _INDIA_MINUTES) // 1440 + 1):
            if sessions and (day + _EPOCH_WEEKDAY) % 7 >= _SATURDAY:
                continue
            midnight = day * 1440 - _INDIA_MINUTES
            if width == 1440:
                yield midnight
                continue
            yield from (m for m in range(midnight + opening, midnight + closing, width) if first <= m <= last)

    def _invented(self, market: Market, start: int, width: int) -> Bar:
        rng = random.Random(f"{self._seed}:{market.instrument.key}:{start}:{width}")
        tick = market.instrument.tick_size

        def near(price: int) -> int:
            return max(tick, round(price * (1 + rng.gauss(0, 0.002)) / tick) * tick)

        opened, closed = near(market.close), near(market.close)
        high, low = max(opened, closed) + tick * rng.randrange(4), min(opened, closed) - tick * rng.randrange(4)
        return Bar(start, opened, high, max(tick, low), closed, rng.randrange(100, 5_000) * width)


def _merged(start: int, bars: list[Bar]) -> Bar:
    return Bar(
        start,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum(bar.volume for bar in bars),
    )


def _row(bar: Bar) -> list[str | int | float]:
    wall = time.gmtime(bar.minute * 60 + INDIA_OFFSET_SECONDS)
    return [
        time.strftime("%Y-%m-%dT%H:%M:%S+0530", wall), rupees(bar.open), rupees(bar.high), rupees(bar.low),
        rupees(bar.close), bar.volume,
    ]  # fmt: skip
