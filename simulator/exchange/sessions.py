"""When the market is open."""

from enum import StrEnum

from simulator.clock import india_datetime


class Hours(StrEnum):
    """Always open (the default), real sessions, or closed by hand."""

    ALWAYS_OPEN = "always_open"
    SESSIONS = "sessions"
    CLOSED = "closed"


_OPENS = (9, 15)
_CLOSES = (15, 30)
_SATURDAY = 5


def is_open(hours: Hours, at_ns: int) -> bool:
    """Whether orders are taken at this instant: with real sessions 09:15 to 15:30 Indian time on weekdays."""
    if hours is not Hours.SESSIONS:
        return hours is Hours.ALWAYS_OPEN
    wall = india_datetime(at_ns)
    return wall.weekday() < _SATURDAY and _OPENS <= (wall.hour, wall.minute) < _CLOSES
