"""The prices at which a day's plan leaves: its stop, standing or following the price, and its target.

Prices are in ten-thousandths of a rupee. The same figures as `trading.trailing` has them, for whole columns at once.
"""

from dataclasses import dataclass

import numpy as np

from playground.bars import SCALE, Column
from trading.trailing import Trail

# Percentages have at most two decimals.
_WHOLE = 10_000


@dataclass(frozen=True, slots=True)
class Levels:
    """`target` None: there is none. `trail` None: the stop stands still."""

    stop: int
    target: int | None
    trail: Trail | None
    tick: int

    def stops_after(self, highest: Column) -> Column:
        """Where the stop stands once the price has been that high, for each row."""
        if self.trail is None:
            return np.full_like(highest, self.stop)
        if self.trail.rupees is not None:
            below = highest - int(self.trail.rupees * SCALE)
        else:
            assert self.trail.percent is not None  # noqa: S101 (one of the two is set)
            below = highest * (_WHOLE - int(self.trail.percent * 100)) // _WHOLE
        return np.maximum(below // self.tick * self.tick, self.stop)

    def stop_after(self, highest: int) -> int:
        return int(self.stops_after(np.array([highest], dtype=np.int64))[0])

    def is_pointless_at(self, price: int) -> bool:
        """What is bought at that price would be sold again at once."""
        return price <= self.stop or self.is_reached_by(price)

    def is_reached_by(self, price: int) -> bool:
        """Whether the target is."""
        return self.target is not None and price >= self.target

    def reached(self, prices: Column) -> np.typing.NDArray[np.bool_]:
        """As `is_reached_by`, for each row."""
        return np.zeros(len(prices), dtype=bool) if self.target is None else prices >= self.target
