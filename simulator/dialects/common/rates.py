"""Documented rate limits, per account."""

import time
from collections import deque
from collections.abc import Callable, Mapping

from simulator.settings import RateLimits

Window = tuple[int, float]


class RateLimiter:
    """Sliding windows. A request refused here still counts for nothing, one refused later counts in full.

    `documented` maps a kind of request to its (requests, seconds) windows; `order_kinds` hold in the mode `orders` too.
    """

    def __init__(
        self,
        documented: Mapping[str, tuple[Window, ...]],
        order_kinds: tuple[str, ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._documented = documented
        self._order_kinds = order_kinds
        self._clock = clock
        self._seen: dict[tuple[str, str, float], deque[float]] = {}

    def allow(self, account: str, kinds: tuple[str, ...], mode: str) -> bool:
        """Whether a request of these kinds fits all its windows; if so it is counted."""
        if mode == RateLimits.OFF:
            return True
        now = self._clock()
        windows = []
        for kind in kinds:
            if mode == RateLimits.ORDERS and kind not in self._order_kinds:
                continue
            for limit, seconds in self._documented[kind]:
                seen = self._seen.setdefault((account, kind, seconds), deque(maxlen=limit))
                if len(seen) == limit and now - seen[0] < seconds:
                    return False
                windows.append(seen)
        for seen in windows:
            seen.append(now)
        return True
