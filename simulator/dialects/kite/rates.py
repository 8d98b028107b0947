"""The documented rate limits (Kite Connect v3, "Exceptions and errors", "API rate limits"), per account."""

import time
from collections import deque
from collections.abc import Callable

from simulator.settings import RateLimits

Window = tuple[int, float]
DOCUMENTED: dict[str, tuple[Window, ...]] = {
    "order": ((10, 1.0), (400, 60.0)),
    "place": ((5_000, 86_400.0),),
    "quote": ((1, 1.0),),
    "historical": ((3, 1.0),),
    "other": ((10, 1.0),),
}
"""Kind to (requests, seconds) windows. Placing counts as an order write and against the day's orders."""
_ORDER_KINDS = ("order", "place")


class RateLimiter:
    """Sliding windows. A request refused here still counts for nothing, one refused later counts in full."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[tuple[str, str, float], deque[float]] = {}

    def allow(self, account: str, kinds: tuple[str, ...], mode: str) -> bool:
        """Whether a request of these kinds fits all its windows; if so it is counted."""
        if mode == RateLimits.OFF:
            return True
        now = self._clock()
        windows = []
        for kind in kinds:
            if mode == RateLimits.ORDERS and kind not in _ORDER_KINDS:
                continue
            for limit, seconds in DOCUMENTED[kind]:
                seen = self._seen.setdefault((account, kind, seconds), deque(maxlen=limit))
                if len(seen) == limit and now - seen[0] < seconds:
                    return False
                windows.append(seen)
        for seen in windows:
            seen.append(now)
        return True
