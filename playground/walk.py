"""Made-up prices: a seeded random walk. The same seed makes the same day, on every machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from random import Random

from playground.bars import SCALE, Bars, bars_of, to_milliseconds
from trading.sessions import instant


@dataclass(frozen=True, slots=True)
class Walk:
    """`step_percent`: how far the price moves in a second at most, and no direction is likelier than the other."""

    seed: int
    start_price: Decimal
    tick_size: Decimal = Decimal("0.05")
    step_percent: Decimal = Decimal("0.02")


def walk(
    days: Sequence[date], made: Walk, *, opens: time = time(9, 15), closes: time = time(15, 30), bar_seconds: int = 60
) -> Bars:
    """Bars of that length over these days, one price a second inside; `bar_seconds` 0: the prices themselves, as ticks."""
    random = Random(made.seed)
    tick = int(made.tick_size * SCALE)
    price = max(int(made.start_price * SCALE) // tick, 1) * tick
    most = int(made.step_percent * SCALE)
    rows: list[tuple[int, int, int, int, int]] = []
    for day in days:
        begin, end = (to_milliseconds(instant(day, moment)) for moment in (opens, closes))
        seconds = bar_seconds or 1
        for start in range(begin, end, seconds * 1000):
            opened = high = low = price
            for _ in range(seconds):
                # Whole ticks only; integer arithmetic, so that no machine rounds in its own way.
                furthest = max(price * most // (100 * SCALE * tick), 1)
                price = max(price + random.randint(-furthest, furthest) * tick, tick)
                high, low = max(high, price), min(low, price)
            rows.append((start, price, price, price, price) if not bar_seconds else (start, opened, high, low, price))
    return bars_of(bar_seconds, rows)
