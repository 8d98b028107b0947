"""Tokens we sign: short-lived access tokens, and the state that comes back with a broker's login redirect.

HS256 with a key ring (`JWT_KEYS`): the first key signs, every key verifies, so keys can be changed while people stay logged in.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt

from api.errors import ApiError, ErrorCode
from storage.ids import new_id
from trading.ports.clock import Clock

ALGORITHM = "HS256"
ISSUER = "algo-trading"
SHORTEST_KEY_BYTES = 32  # RFC 7518 section 3.2
ACCESS = "access"
BROKER_LOGIN = "broker-login"
# Time between asking for a login page and coming back from it.
LOGIN_STATE_LIFE = timedelta(minutes=15)
_REQUIRED = ["exp", "iat", "iss", "aud", "sub", "sid"]


@dataclass(frozen=True, slots=True)
class Claims:
    """Whom a token speaks for: user and session family, or user and broker account for a login state."""

    user_id: str
    subject_id: str
    expires_at: datetime


class Signer:
    """Signs and reads tokens of one audience each, so that one kind never passes for another."""

    def __init__(self, keys: dict[str, bytes], clock: Clock) -> None:
        self._keys = keys
        self._newest = next(iter(keys))
        self._clock = clock

    def sign(self, *, audience: str, user_id: str, subject_id: str, life: timedelta) -> str:
        now = self._clock.now()
        claims = {
            "iss": ISSUER,
            "aud": audience,
            "sub": user_id,
            "sid": subject_id,
            "jti": new_id("jwt"),
            "iat": int(now.timestamp()),
            "exp": int((now + life).timestamp()),
        }
        return jwt.encode(claims, self._keys[self._newest], algorithm=ALGORITHM, headers={"kid": self._newest})

    def read(self, token: str, *, audience: str) -> Claims:
        """Raises ApiError TOKEN_INVALID or TOKEN_EXPIRED."""
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            # Expiry is judged below, by the platform's clock.
            options: jwt.types.Options = {"require": _REQUIRED, "verify_exp": False, "verify_iat": False}
            claims = jwt.decode(token, key, algorithms=[ALGORITHM], audience=audience, issuer=ISSUER, options=options)
            expires_at = datetime.fromtimestamp(claims["exp"], tz=self._clock.now().tzinfo)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise ApiError(ErrorCode.TOKEN_INVALID) from error
        if expires_at <= self._clock.now():
            raise ApiError(ErrorCode.TOKEN_EXPIRED)
        return Claims(user_id=claims["sub"], subject_id=claims["sid"], expires_at=expires_at)


def parse_keys(text: str) -> dict[str, bytes]:
    """Read `kid:secret,kid:secret`. Raises ValueError without repeating a secret."""
    keys: dict[str, bytes] = {}
    for position, part in enumerate(filter(None, (piece.strip() for piece in text.split(","))), start=1):
        kid, separator, secret = part.partition(":")
        if not separator or not kid:
            raise ValueError(f"JWT_KEYS: entry {position} is not kid:secret")
        if len(secret.encode()) < SHORTEST_KEY_BYTES:
            raise ValueError(f"JWT_KEYS: the secret of {kid!r} must have at least {SHORTEST_KEY_BYTES} bytes")
        keys[kid] = secret.encode()
    if not keys:
        raise ValueError("JWT_KEYS is empty: at least one key is needed, as kid:secret of 32 bytes or more")
    return keys


def new_refresh_token() -> str:
    """384 random bits; only its hash is stored."""
    return f"rt_{secrets.token_urlsafe(48)}"


def refresh_token_hash(token: str) -> str:
    """A plain hash suffices: the token is random, not chosen by a person."""
    return hashlib.sha256(token.encode()).hexdigest()


API_KEY_START = "ak_"
# What is shown of a key after the first time.
API_KEY_SHOWN = 11
_API_KEY = re.compile(r"ak_[A-Za-z0-9_-]{43}")


def new_api_key() -> str:
    """256 random bits; only its hash is stored."""
    return f"{API_KEY_START}{secrets.token_urlsafe(32)}"


def looks_like_a_key(text: str) -> bool:
    return _API_KEY.fullmatch(text) is not None


def api_key_hash(key: str) -> str:
    """A plain hash suffices: the key is random. It is looked up by its hash, so no comparison tells how much of it was right."""
    return hashlib.sha256(key.encode()).hexdigest()
