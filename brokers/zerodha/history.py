"""Historical candles (Kite Connect v3 documentation, "Historical candle data"): for accounts that have them, a minute each."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Protocol

from brokers.fields import decimal, row
from trading.ports.broker import UnreadableAnswer
from trading.ports.history import MinuteBar

# One request gives sixty days of minutes at most; a few days each keep an answer small wherever sessions are longer.
DAYS_AT_ONCE = 3
# Three such requests a second are allowed.
PAUSE_SECONDS = 0.35
_PRICES = ("open", "high", "low", "close")


class Read(Protocol):
    async def __call__(self, path: str, *, query: Sequence[tuple[str, str]]) -> object: ...


async def minute_bars(read: Read, token: str, *, first: date, last: date) -> tuple[MinuteBar, ...]:
    """Raises what `read` raises, and UnreadableAnswer."""
    found: dict[datetime, MinuteBar] = {}
    begin = first
    while begin <= last:
        end = min(begin + timedelta(days=DAYS_AT_ONCE - 1), last)
        query = [("from", f"{begin} 00:00:00"), ("to", f"{end} 23:59:59"), ("continuous", "0"), ("oi", "0")]
        data = await read(f"/instruments/historical/{token}/minute", query=query)
        found |= {bar.begins_at: bar for bar in read_bars(data)}
        begin = end + timedelta(days=1)
        if begin <= last:
            await asyncio.sleep(PAUSE_SECONDS)
    return tuple(found[moment] for moment in sorted(found))


def read_bars(data: object) -> list[MinuteBar]:
    """Each candle is a list: time, open, high, low, close, volume. Raises UnreadableAnswer."""
    candles = row(data, "candles").get("candles")
    if not isinstance(candles, list):
        raise UnreadableAnswer("candles is missing or not a list")
    return [_bar(candle) for candle in candles]


def _bar(candle: object) -> MinuteBar:
    if not isinstance(candle, list) or len(candle) < len(_PRICES) + 1 or not isinstance(candle[0], str):
        raise UnreadableAnswer("a candle is not a list of a time and four prices")
    try:
        begins_at = datetime.strptime(candle[0], "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        raise UnreadableAnswer("the time of a candle is not a time") from None
    prices = dict(zip(_PRICES, candle[1:], strict=False))
    return MinuteBar(begins_at, *(decimal(prices, name) for name in _PRICES))
