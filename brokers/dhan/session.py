"""A Dhan session: the headers that carry it, and its end, a day after it was issued unless a newer token ends it sooner."""

import base64
import binascii
from datetime import UTC, datetime, timedelta

from brokers.dhan.loose import optional_moment
from brokers.exact_json import parse_json
from brokers.fields import Row
from trading.accounts import Credentials

LIFE = timedelta(hours=24)
# What a server that speaks JSON wants to see, and what a token travels in.
_JSON_HEADERS = {"Accept": "application/json"}


def session_headers(credentials: Credentials) -> dict[str, str]:
    """Headers of every call after the login. Quotes demand the client id, the others do not mind it."""
    return _JSON_HEADERS | {"access-token": credentials.access_token or "", "client-id": credentials.broker_user_id}


def session_end(access_token: str, *, answer: Row, now: datetime) -> datetime:
    """Aware UTC: as the token says, else as the answer that brought it says, else a day from now."""
    return _claimed_end(access_token) or optional_moment(answer, "expiryTime") or now + LIFE


def _claimed_end(access_token: str) -> datetime | None:
    """`exp` of a JSON web token. Its signature is the broker's business: here it only says when to log in again."""
    claims = _claims(access_token)
    seconds = claims.get("exp")
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def claimed_client_id(access_token: str) -> str:
    """The client a token says it is for; empty if it says nothing."""
    found = _claims(access_token).get("dhanClientId")
    return found if isinstance(found, str) else ""


def _claims(access_token: str) -> Row:
    parts = access_token.split(".")
    if len(parts) != 3:
        return {}
    try:
        value = parse_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return value if isinstance(value, dict) else {}
