"""The account's pace: how many order writes it may make, exits before entries. Rates are data (brokers/*/limits.py).

A write beyond the broker's rate is refused, counts all the same, and at some brokers blocks the day. So the pace is kept here,
and what is left of it is kept for exits: an entry is admitted only while three writes per open position stay in reserve.
"""

from collections import deque
from enum import IntEnum

from brokers.limits import Rate

WRITES_PER_POSITION = 3


class Priority(IntEnum):
    EXIT = 0
    ENTRY = 1


class Budget:
    """Sliding windows over one account's order writes. Times are monotonic seconds, handed in."""

    def __init__(self, rates: tuple[Rate, ...]) -> None:
        if not rates:
            raise ValueError("a budget needs at least one rate")
        self._rates = rates
        self._writes: deque[float] = deque()
        self._longest = max(rate.seconds for rate in rates)

    def available(self, priority: Priority, *, now: float, open_positions: int = 0) -> int:
        """How many writes may be made at this moment."""
        self._forget(now)
        # Per-second windows refill at once: only the long ones must keep a reserve for exits.
        reserve = WRITES_PER_POSITION * open_positions if priority is Priority.ENTRY else 0
        return max(0, min(self._left(rate, now) - (reserve if rate.seconds > 1 else 0) for rate in self._rates))

    def spend(self, writes: int, *, now: float) -> None:
        """Note writes that are made now, admitted or not: the broker counts them."""
        self._writes.extend([now] * writes)

    def arrived(self, spent_at: float, *, now: float) -> None:
        """The answer to a write that was counted at `spent_at` is here: it reached the broker between then and now.

        From now on it counts as made now, or the next burst, quicker on its way, would meet it in one of the broker's windows.
        A write without an answer keeps its first instant, so that nothing is held up for ever.
        """
        self._forget(now)
        if spent_at in self._writes:
            self._writes.remove(spent_at)
            self._writes.append(now)

    def give_back(self, writes: int, *, spent_at: float | None = None) -> None:
        """Writes that were admitted and not made after all: those counted at `spent_at`, else the newest."""
        for _ in range(min(writes, len(self._writes))):
            if spent_at is not None and spent_at in self._writes:
                self._writes.remove(spent_at)
            else:
                self._writes.pop()

    def next_free_at(self, *, now: float) -> float:
        """When the next write may be made: now, or the instant at which the tightest full window gives one back."""
        self._forget(now)
        return max([now, *(self._frees_at(rate) for rate in self._rates if self._left(rate, now) <= 0)])

    def _left(self, rate: Rate, now: float) -> int:
        used = 0
        for at in reversed(self._writes):
            if at <= now - rate.seconds:
                break
            used += 1
        return rate.count - used

    def _frees_at(self, rate: Rate) -> float:
        return self._writes[-rate.count] + rate.seconds

    def _forget(self, now: float) -> None:
        while self._writes and self._writes[0] <= now - self._longest:
            self._writes.popleft()
