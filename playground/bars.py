"""Prices of the past as columns of integers: bars, or ticks as bars without length.

A bar's open is known at its start; its high, low and close only once it has closed. Nothing here may be asked earlier.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from trading.sessions import trading_date

# Prices are whole ten-thousandths of a rupee, the finest tick of any segment; never floats.
SCALE = 10_000
DAY_MS = 86_400_000
# India has one zone and no summer time.
INDIA_MS = 19_800_000
_EPOCH_DAY = date(1970, 1, 1)

Column: TypeAlias = NDArray[np.int64]


def to_units(price: Decimal) -> int:
    """A price in rupees as an integer. Raises ValueError for one with more than four decimals."""
    units = price * SCALE
    if units != units.to_integral_value():
        raise ValueError(f"a price has at most four decimals, was {price}")
    return int(units)


def to_rupees(units: int) -> Decimal:
    return Decimal(int(units)) / SCALE


def to_milliseconds(instant: datetime) -> int:
    return (instant - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def to_instant(milliseconds: int) -> datetime:
    """Aware, UTC."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(milliseconds))


@dataclass(frozen=True, slots=True)
class Bars:
    """`start` in milliseconds since 1970, ascending; prices in ten-thousandths. `bar_seconds` 0: these are ticks."""

    bar_seconds: int
    start: Column
    open: Column
    high: Column
    low: Column
    close: Column

    def __len__(self) -> int:
        return len(self.start)

    @property
    def bar_ms(self) -> int:
        return self.bar_seconds * 1000

    def cut(self, begin: int, end: int) -> "Bars":
        """Rows `begin` up to but without `end`; shares the memory."""
        part = slice(begin, end)
        return Bars(self.bar_seconds, self.start[part], self.open[part], self.high[part], self.low[part], self.close[part])

    def days(self) -> Iterator[tuple[date, "Bars"]]:
        """Each Indian date that has rows, in order, with its rows."""
        if not len(self):
            return
        numbers = (self.start + INDIA_MS) // DAY_MS
        begins = np.concatenate(([0], np.flatnonzero(np.diff(numbers)) + 1, [len(self)]))
        for begin, end in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True):
            yield _EPOCH_DAY + timedelta(days=int(numbers[begin])), self.cut(begin, end)

    def between(self, from_day: date | None, to_day: date | None) -> "Bars":
        """Only the rows of these days, both included."""
        numbers = (self.start + INDIA_MS) // DAY_MS
        begin = 0 if from_day is None else int(np.searchsorted(numbers, (from_day - _EPOCH_DAY).days, "left"))
        end = len(self) if to_day is None else int(np.searchsorted(numbers, (to_day - _EPOCH_DAY).days, "right"))
        return self.cut(begin, max(begin, end))

    @property
    def first_day(self) -> date:
        return trading_date(to_instant(self.start[0]))

    @property
    def last_day(self) -> date:
        return trading_date(to_instant(self.start[-1]))

    def to_bytes(self) -> bytes:
        """Compressed, without any object that would have to be trusted when it is read."""
        into = io.BytesIO()
        columns = np.stack([self.start, self.open, self.high, self.low, self.close])
        np.savez_compressed(into, seconds=np.int64(self.bar_seconds), columns=columns)
        return into.getvalue()

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Bars":
        with np.load(io.BytesIO(stored), allow_pickle=False) as read:
            return cls(int(read["seconds"]), *read["columns"])


def bars_of(bar_seconds: int, rows: list[tuple[int, int, int, int, int]]) -> Bars:
    """From rows of start, open, high, low, close."""
    columns = np.array(rows, dtype=np.int64).reshape(-1, 5).T.copy()
    return Bars(bar_seconds, *columns)
