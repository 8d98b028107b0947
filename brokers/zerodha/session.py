"""A Kite session: the headers that carry it, and its end at 06:00 Indian time, by regulation.

Logging out or a newer login ends it sooner."""

from datetime import UTC, datetime, time, timedelta

from trading.accounts import Credentials
from trading.sessions import INDIA, instant

ENDS_AT = time(6, 0)
VERSION_HEADERS = {"X-Kite-Version": "3"}


def session_headers(credentials: Credentials) -> dict[str, str]:
    """Headers of every call after the login."""
    return VERSION_HEADERS | {"Authorization": f"token {credentials.api_key}:{credentials.access_token}"}


def session_end(now: datetime) -> datetime:
    """The next 06:00 Indian time strictly after `now`, aware UTC."""
    today = now.astimezone(INDIA).date()
    end = instant(today, ENDS_AT)
    if end <= now:
        end = instant(today + timedelta(days=1), ENDS_AT)
    return end.astimezone(UTC)
