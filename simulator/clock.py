"""Time as the simulator shows it: nanoseconds inside, Indian time at the edge."""

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECOND_NS = 1_000_000_000
INDIA_OFFSET_SECONDS = 5 * 3600 + 30 * 60
"""India keeps one offset all year, so plain arithmetic is exact."""


def now_ns() -> int:
    """The wall clock in nanoseconds since the epoch."""
    return time.time_ns()


@lru_cache(maxsize=4096)
def _india_text(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second + INDIA_OFFSET_SECONDS))


def india_text(at_ns: int) -> str:
    """`YYYY-MM-DD HH:MM:SS` in Indian time."""
    return _india_text(at_ns // SECOND_NS)


def india_day(at_ns: int) -> str:
    """`YYYY-MM-DD`: the Indian date, which is the trading day."""
    return india_text(at_ns)[:10]


def india_datetime(at_ns: int) -> datetime:
    """Indian wall time carried in an aware datetime whose zone is UTC: for reading hours and weekdays only."""
    return datetime.fromtimestamp(at_ns // SECOND_NS, tz=UTC) + timedelta(seconds=INDIA_OFFSET_SECONDS)


def parse_india(text: str) -> int:
    """Read `YYYY-MM-DD[ HH:MM:SS]` as Indian time; answers epoch nanoseconds. Raises ValueError."""
    cleaned = text.strip().replace("T", " ").replace("+05:30", "").replace("+0530", "")
    pattern = "%Y-%m-%d %H:%M:%S" if len(cleaned) > 10 else "%Y-%m-%d"
    wall = datetime.strptime(cleaned, pattern).replace(tzinfo=UTC)
    return (int(wall.timestamp()) - INDIA_OFFSET_SECONDS) * SECOND_NS
