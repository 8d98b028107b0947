"""A day's bars as the prices a rehearsal trades at, one after the other."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from playground.bars import SCALE, Bars, to_instant, to_rupees


def prices_of(bars: Bars, *, target: Decimal | None = None) -> Iterator[tuple[datetime, Decimal]]:
    """A bar as prices in the order that is worst for a stop: open, low, high, close, spread over its length. On its way up it
    passes the `target`: sold at the high, a plan would look better than it is."""
    eighth = bars.bar_ms // 8
    passed = None if target is None else int(target * SCALE)
    for start, opened, high, low, close in zip(
        bars.start.tolist(), bars.open.tolist(), bars.high.tolist(), bars.low.tolist(), bars.close.tolist(), strict=True
    ):
        if not eighth:
            yield to_instant(start), to_rupees(opened)
            continue
        way = [(0, opened), (2, low), (4, high), (6, close)]
        if passed is not None and low < passed < high:
            way.insert(2, (3, passed))
        for part, units in way:
            yield to_instant(start + part * eighth), to_rupees(units)
