"""A SmartAPI session: the headers that carry it, and its end at midnight, Indian time.

Logging out or a newer login may end it sooner."""

from datetime import UTC, datetime, time, timedelta

from trading.accounts import Credentials
from trading.sessions import INDIA, instant

_BEARER = "Bearer "
ENDS_AT = time(0, 0)


def public_headers(api_key: str) -> dict[str, str]:
    """Headers of every call, the login included. The broker takes the caller's address from the connection, not from these."""
    return {
        "Accept": "application/json",
        "X-PrivateKey": api_key,
        "X-UserType": "USER",
        "X-SourceID": "WEB",
        "X-ClientLocalIP": "127.0.0.1",
        "X-ClientPublicIP": "127.0.0.1",
        "X-MACAddress": "02:00:00:00:00:00",
    }


def session_headers(credentials: Credentials) -> dict[str, str]:
    """Headers of every call after the login."""
    return public_headers(credentials.api_key) | {"Authorization": _BEARER + plain_token(credentials.access_token or "")}


def socket_headers(credentials: Credentials) -> dict[str, str]:
    """Headers of both sockets' handshakes."""
    return {
        "Authorization": _BEARER + plain_token(credentials.access_token or ""),
        "x-api-key": credentials.api_key,
        "x-client-code": credentials.broker_user_id,
        "x-feed-token": credentials.feed_token or "",
    }


def plain_token(token: str) -> str:
    """Without the word it is sent with: the official client hands its users tokens that begin with it."""
    return token.strip().removeprefix(_BEARER).strip()


def session_end(now: datetime) -> datetime:
    """The next midnight, Indian time, strictly after `now`; aware UTC."""
    tomorrow = now.astimezone(INDIA).date() + timedelta(days=1)
    return instant(tomorrow, ENDS_AT).astimezone(UTC)
