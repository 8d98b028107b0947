"""The documented rate limits (SmartAPI documentation, "Rate Limits"), per client."""

from simulator.dialects.common.rates import RateLimiter, Window

_ORDER = ((9, 1.0), (500, 60.0), (1_000, 3_600.0))
_TEN = ((10, 1.0), (500, 60.0), (5_000, 3_600.0))
DOCUMENTED: dict[str, tuple[Window, ...]] = {
    "order": _ORDER,
    "book": ((1, 1.0),),
    "trades": ((1, 1.0),),
    "positions": ((1, 1.0),),
    "holdings": ((1, 1.0),),
    "search": ((1, 1.0),),
    "details": _TEN,
    "ltp": _TEN,
    "quote": _TEN,
    "margin": _TEN,
    "funds": ((2, 1.0),),
    "profile": ((3, 1.0), (1_000, 3_600.0)),
    "login": ((1, 1.0),),
    "renew": ((1, 1.0), (1_000, 3_600.0)),
}
"""Kind to (requests, seconds) windows. Placing, modifying and cancelling count together."""


def angel_limiter() -> RateLimiter:
    return RateLimiter(DOCUMENTED, ("order",))
