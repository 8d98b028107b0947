"""Turns at limits that a broker counts per account, whichever of our processes calls: the worker, the API and the listener share
them.

`LocalTurns` is what one process knows by itself, and what it goes by while nobody knows better (`runtime/turns.py`).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from trading.ports.clock import Clock

# Complaints of a broker within the same minute are one.
COMPLAINTS_APART_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Window:
    """At most `count` turns called `name` in any `seconds`."""

    name: str
    count: int
    seconds: float


class Turns(Protocol):
    """`account` names the account at its broker, not one of our rows: two of those may be the same account."""

    async def take(self, account: str, windows: Sequence[Window]) -> float:
        """Take a turn in every window, if each has one: 0. Else none is taken: the seconds until there may be one."""

    def note(self, account: str, window: Window) -> None:
        """A turn that was taken without asking. Never waits."""

    async def complain(self, account: str, day: date) -> None:
        """The broker has complained of too many calls."""

    async def complaints(self, account: str, day: date) -> int:
        """How many minutes of that day it has complained of."""


@dataclass(slots=True)
class LocalTurns:
    clock: Clock
    _taken: dict[tuple[str, str], deque[float]] = field(default_factory=dict)
    _complaints: dict[str, tuple[date, int, float]] = field(default_factory=dict)

    async def take(self, account: str, windows: Sequence[Window]) -> float:
        now = self.clock.monotonic()
        wait = max((_until_free(self._list(account, window), window, now) for window in windows), default=0.0)
        if wait <= 0:
            for window in windows:
                self._list(account, window).append(now)
        return max(wait, 0.0)

    def note(self, account: str, window: Window) -> None:
        self._list(account, window).append(self.clock.monotonic())

    def _list(self, account: str, window: Window) -> deque[float]:
        return self._taken.setdefault((account, window.name), deque())

    async def complain(self, account: str, day: date) -> None:
        now = self.clock.monotonic()
        known, count, at = self._complaints.get(account, (day, 0, -COMPLAINTS_APART_SECONDS))
        if known != day:
            self._complaints[account] = (day, 1, now)
        elif count == 0 or now - at >= COMPLAINTS_APART_SECONDS:
            self._complaints[account] = (day, count + 1, now)

    async def complaints(self, account: str, day: date) -> int:
        known, count, _ = self._complaints.get(account, (day, 0, 0.0))
        return count if known == day else 0


def _until_free(taken: deque[float], window: Window, now: float) -> float:
    """Seconds until fewer than that many were taken in the window before; forgets what has left it."""
    while taken and now - taken[0] >= window.seconds:
        taken.popleft()
    return taken[-window.count] + window.seconds - now if len(taken) >= window.count else 0.0
