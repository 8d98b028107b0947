"""A Fyers session: the header that carries its token, and what the token itself tells (a JWT).

The token ends at about 06:00 Indian time, by its own `exp`; logging out or a newer login ends it sooner.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta

from brokers.exact_json import parse_json
from trading.accounts import Credentials
from trading.sessions import INDIA, instant

ENDS_AT = time(6, 0)
# From 1 April 2026 on only apps with this ending may place orders.
TRADING_APP_SUFFIX = "-200"
VERSION_HEADERS = {"version": "3"}


def bare_token(access_token: str) -> str:
    """The JWT alone: people also paste what their programs send, with the app's id before it."""
    return access_token.rpartition(":")[2].strip()


def authorization(credentials: Credentials) -> str:
    return f"{credentials.api_key}:{bare_token(credentials.access_token or '')}"


def session_headers(credentials: Credentials) -> dict[str, str]:
    """Headers of every call after the login."""
    return VERSION_HEADERS | {"Authorization": authorization(credentials)}


def claims(access_token: str) -> Mapping[str, object]:
    """What a token says of itself, unverified; empty for anything that is not a JWT."""
    parts = bare_token(access_token).split(".")
    if len(parts) != 3:
        return {}
    try:
        value = parse_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return value if isinstance(value, dict) else {}


def claimed_text(access_token: str, name: str) -> str:
    """One claim that is text; empty where it is missing."""
    value = claims(access_token).get(name)
    return value if isinstance(value, str) else ""


def session_end(access_token: str, now: datetime) -> datetime:
    """The token's own end, and never later than the next 06:00 Indian time strictly after `now`. Aware UTC."""
    today = now.astimezone(INDIA).date()
    end = instant(today, ENDS_AT)
    if end <= now:
        end = instant(today + timedelta(days=1), ENDS_AT)
    said = claims(access_token).get("exp")
    if isinstance(said, int) and not isinstance(said, bool) and said > 0:
        end = min(end, datetime.fromtimestamp(min(said, int(end.timestamp())), UTC))
    return end.astimezone(UTC)
