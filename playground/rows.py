"""Rows of a file of prices, whatever its format, to bars: every rule a row must keep is here."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from playground.bars import Bars, bars_of
from playground.problems import MOST_REPORTED, BadFile, LineProblem, whole_file

MOST_ROWS = 500_000
# One crore rupees: beyond any price of an exchange.
HIGHEST_PRICE = 10_000_000 * 10_000
# A longer bar cannot tell which came first, its high or its low, for long enough that nothing can be learnt from it.
LONGEST_BAR_SECONDS = 3_600
# 1990 to 2100, in milliseconds.
EARLIEST, LATEST = 631_152_000_000, 4_102_444_800_000


class Stamp(str, Enum):
    """Whether a bar's time is its beginning, as brokers write it, or its end."""

    START = "start"
    END = "end"


@dataclass(frozen=True, slots=True)
class Row:
    """`start` in milliseconds; prices in ten-thousandths of a rupee. A tick has one price four times."""

    line: int
    start: int
    open: int
    high: int
    low: int
    close: int


class Rows:
    """Takes rows one by one, and says what is wrong with the first that are."""

    def __init__(self, *, are_ticks: bool) -> None:
        self._are_ticks = are_ticks
        self._rows: list[tuple[int, int, int, int, int]] = []
        self._problems: list[LineProblem] = []
        self._last: int | None = None

    def wrong(self, line: int, reason: str) -> None:
        """Raises BadFile once there are enough of them."""
        self._problems.append(LineProblem(line, reason))
        if len(self._problems) >= MOST_REPORTED:
            raise BadFile(*self._problems)

    def add(self, row: Row) -> None:
        """Raises BadFile when there are too many rows, or too many problems."""
        if len(self._rows) >= MOST_ROWS:
            raise whole_file(f"more than {MOST_ROWS:,} rows; split the file")
        reason = self._reason(row)
        if reason is not None:
            self.wrong(row.line, reason)
            return
        self._last = row.start
        self._rows.append((row.start, row.open, row.high, row.low, row.close))

    def _reason(self, row: Row) -> str | None:
        if not EARLIEST <= row.start < LATEST:
            return "the time is not between 1990 and 2100"
        if self._last is not None and (row.start < self._last or (row.start == self._last and not self._are_ticks)):
            return "the time is not after the row before; sort the file and remove what is there twice"
        if not all(0 < price <= HIGHEST_PRICE for price in (row.open, row.high, row.low, row.close)):
            return "a price is not above 0 and at most one crore rupees"
        if not row.low <= min(row.open, row.close) <= max(row.open, row.close) <= row.high:
            return "low, open, high and close contradict each other"
        return None

    def bars(self, *, bar_seconds: int | None, stamp: Stamp) -> Bars:
        """`bar_seconds` None: the commonest distance of two rows. Raises BadFile."""
        if self._problems:
            raise BadFile(*self._problems)
        if not self._rows:
            raise whole_file("there is no row of prices")
        if self._are_ticks:
            return bars_of(0, self._rows)
        seconds = bar_seconds or _commonest_distance(self._rows)
        if not 1 <= seconds <= LONGEST_BAR_SECONDS:
            raise whole_file(
                f"bars must be 1 to {LONGEST_BAR_SECONDS} seconds long, these look like {seconds}: a day in one bar tells nothing"
            )
        bars = bars_of(seconds, self._rows)
        distances = np.diff(bars.start)
        if len(distances) and int(distances.min()) < seconds * 1000:
            line = int(distances.argmin()) + 1
            raise whole_file(f"bars of {seconds} seconds overlap, first at row {line + 1} of the prices: say bar_seconds")
        if stamp is Stamp.END:
            return Bars(seconds, bars.start - seconds * 1000, bars.open, bars.high, bars.low, bars.close)
        return bars


def _commonest_distance(rows: Iterable[tuple[int, int, int, int, int]]) -> int:
    starts = np.array([row[0] for row in rows], dtype=np.int64)
    if len(starts) < 2:
        raise whole_file("with one row the length of a bar cannot be told: say bar_seconds")
    values, counts = np.unique(np.diff(starts), return_counts=True)
    return int(values[counts.argmax()]) // 1000
