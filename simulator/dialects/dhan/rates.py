"""The documented rate limits (DhanHQ v2, "Introduction", "Rate limits", as of March 2026), per account."""

import time
from collections.abc import Callable

from simulator.dialects.common.rates import RateLimiter, Window

DOCUMENTED: dict[str, tuple[Window, ...]] = {
    "order": ((10, 1.0), (250, 60.0), (1_000, 3_600.0), (7_000, 86_400.0)),
    "data": ((5, 1.0), (100_000, 86_400.0)),
    "quote": ((1, 1.0),),
    "other": ((20, 1.0),),
}
"""Kind to (requests, seconds) windows. Reading orders is no order request."""


def dhan_limiter(clock: Callable[[], float] = time.monotonic) -> RateLimiter:
    """Dhan's limits over a clock."""
    return RateLimiter(DOCUMENTED, ("order",), clock)
