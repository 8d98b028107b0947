"""The documented rate limits (Kite Connect v3, "Exceptions and errors", "API rate limits"), per account."""

import time
from collections.abc import Callable

from simulator.dialects.common.rates import RateLimiter, Window

DOCUMENTED: dict[str, tuple[Window, ...]] = {
    "order": ((10, 1.0), (400, 60.0)),
    "place": ((5_000, 86_400.0),),
    "quote": ((1, 1.0),),
    "historical": ((3, 1.0),),
    "other": ((10, 1.0),),
}
"""Kind to (requests, seconds) windows. Placing counts as an order write and against the day's orders."""


def kite_limiter(clock: Callable[[], float] = time.monotonic) -> RateLimiter:
    """Kite's limits over a clock."""
    return RateLimiter(DOCUMENTED, ("order", "place"), clock)
