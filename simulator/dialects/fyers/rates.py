"""The documented rate limits (Fyers API v3 documentation, "Rate limits"): all calls of an account together, and order writes.

Whoever goes over the limit of a minute more than three times is blocked for the rest of the day.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from simulator.dialects.common.rates import RateLimiter, Window
from simulator.settings import RateLimits

SECOND, MINUTE, DAY = 1.0, 60.0, 86_400.0
DOCUMENTED: dict[str, tuple[Window, ...]] = {
    "order": ((10, SECOND),),
    "other": ((10, SECOND), (100_000, DAY)),
    "minute": ((200, MINUTE),),
}
"""Kind to (requests, seconds) windows. Every call counts as `other` and against the minute."""
ORDER, OTHER = ("order", "other", "minute"), ("other", "minute")
FORGIVEN_BREACHES = 3


@dataclass(slots=True)
class _Breaches:
    count: int = 0
    last_at: float = float("-inf")


class FyersLimiter(RateLimiter):
    """Remembers who broke the limit of a minute. `wait_seconds` is how long the last one refused should wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(DOCUMENTED, ("order",), clock)
        self._now = clock
        self._breaches: dict[str, _Breaches] = {}
        self.wait_seconds = 1.0

    def forget(self) -> None:
        """A new day: nobody is blocked any more."""
        self._breaches.clear()

    def breaches(self, account: str) -> int:
        """In how many minutes of this day the account went over the limit."""
        broken = self._breaches.get(account)
        return 0 if broken is None else broken.count

    def is_blocked(self, account: str) -> bool:
        """Whether the account has broken the limit of a minute too often today."""
        return self.breaches(account) > FORGIVEN_BREACHES

    def allow(self, account: str, kinds: tuple[str, ...], mode: str) -> bool:
        """Whether a request of these kinds fits all its windows; if so it is counted."""
        if mode == RateLimits.ON and self.is_blocked(account):
            self.wait_seconds = DAY
            return False
        # The minute is asked first and alone, so that its breach is told from too much at once.
        if "minute" in kinds and not super().allow(account, ("minute",), mode):
            self._note(account)
            self.wait_seconds = MINUTE
            return False
        self.wait_seconds = SECOND
        return super().allow(account, tuple(kind for kind in kinds if kind != "minute"), mode)

    def _note(self, account: str) -> None:
        """Every minute that goes over its limit counts once."""
        broken = self._breaches.setdefault(account, _Breaches())
        now = self._now()
        if now - broken.last_at >= MINUTE:
            broken.count += 1
            broken.last_at = now
