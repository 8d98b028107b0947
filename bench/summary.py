"""Many measured values as a few figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent of the values do not exceed (nearest rank). Raises ValueError if empty."""
    if not ordered:
        raise ValueError("there is no percentile of nothing")
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(1, rank) - 1]


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of one row of the table, in the unit of the row."""

    count: int
    least: float
    p50: float
    p90: float
    p99: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Raises ValueError when nothing was measured: an empty row would look like a good one."""
        ordered = sorted(values)
        p50, p90, p99 = (percentile(ordered, percent) for percent in (50, 90, 99))
        return cls(len(ordered), ordered[0], p50, p90, p99, ordered[-1])
