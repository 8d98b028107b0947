"""How wrong a clock can be shown to be: what a server stated, between two moments of our own clock, bounds the difference."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

ZERO = timedelta(0)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Our clock is ahead of theirs by something between `least` and `most`; negative is behind."""

    least: timedelta
    most: timedelta

    @property
    def proven(self) -> timedelta:
        """The error that is certain: zero while the clocks may agree."""
        return max(self.least, -self.most, ZERO)

    @property
    def is_ahead(self) -> bool:
        return self.least > ZERO


def bounds_of(stated: datetime, *, asked_at: datetime, answered_at: datetime, resolution: timedelta = ZERO) -> Bounds:
    """`stated` was true at some moment between asking and answer, rounded down to the resolution: a header in whole seconds may
    mean anything up to a second later."""
    return Bounds(least=asked_at - stated - resolution, most=answered_at - stated)


def narrowed(newest_first: Iterable[Bounds]) -> Bounds | None:
    """What all of them say together; None: nothing. Older ones that contradict are left out: a clock was set in between."""
    found: Bounds | None = None
    for bounds in newest_first:
        both = bounds if found is None else Bounds(max(found.least, bounds.least), min(found.most, bounds.most))
        if both.least > both.most:
            break
        found = both
    return found
