"""Access tokens: JWTs with the claims clients read (Fyers API v3, "Authentication"; the Python client 3.2.0)."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any

import orjson

from simulator.clock import SECOND_NS
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.registry import Registry

NAME = "fyers"
_HEADER = {"alg": "HS256", "typ": "JWT"}
_HSM_KEY_BYTES = 28


def mint(account: Account, *, now_ns: int, expires_ns: int) -> str:
    """A new token. It carries a key for the market data socket, and nothing secret."""
    said = {
        "iss": "api.fyers.in",
        "iat": now_ns // SECOND_NS,
        "exp": expires_ns // SECOND_NS,
        "nbf": now_ns // SECOND_NS,
        "aud": ["x:0", "d:1"],
        "sub": "access_token",
        "at_hash": secrets.token_hex(16),
        "display_name": f"Simulated {account.user_id}",
        "oms": "K1",
        "hsm_key": secrets.token_hex(_HSM_KEY_BYTES),
        "fy_id": account.user_id,
        "appType": 200,
        "poa_flag": "N",
    }
    signed = f"{_header(account.api_key)}.{_encode(orjson.dumps(said))}"
    return f"{signed}.{_encode(hmac.digest(secrets.token_bytes(32), signed.encode(), 'sha256'))}"


def app_id_hash(account: Account) -> str:
    """SHA-256 over app id and secret with a colon between, in lower-case hex."""
    return hashlib.sha256(f"{account.api_key}:{account.api_secret}".encode()).hexdigest()


def hsm_key(token: str) -> str:
    """The key for the market data socket that a token carries."""
    return str(_claims(token).get("hsm_key", ""))


def _claims(token: str) -> Mapping[str, Any]:
    payload = token.split(".")[1]
    said: Mapping[str, Any] = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return said


def _header(app_id: str) -> str:
    """The broker's Python client decodes app id and header as one piece of base64, which never has a length of 4n + 1."""
    text = orjson.dumps(_HEADER)
    while len(app_id + _encode(text)) % 4 == 1:
        text += b" "
    return _encode(text)


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


class Doorman:
    """Knows whose session it is."""

    def __init__(self, exchange: Exchange, registry: Registry) -> None:
        self._exchange = exchange
        self._registry = registry
        self._owners: dict[str, str] = {}

    def by_header(self, authorization: str) -> Account | None:
        """`<app id>:<token>`, or the token alone, as the broker's Python client sends it to one of the calls."""
        app_id, _, token = authorization.strip().rpartition(":")
        account = self._registry.of_token(token, dialect=NAME)
        return account if account is not None and app_id in ("", account.api_key) else None

    def by_code(self, auth_code: str) -> Account | None:
        """Whose login ended with this code; whether it is still good is another question."""
        accounts = self._exchange.accounts.values()
        return next((account for account in accounts if auth_code in account.request_tokens), None)

    def by_hsm_key(self, key: str) -> Account | None:
        """Whose market data key it is."""
        if key not in self._owners:
            live = [account.access_token for account in self._exchange.accounts.values() if account.dialect == NAME]
            self._owners = {hsm_key(token): token for token in live if token is not None}
        token = self._owners.get(key)
        return None if token is None else self._registry.of_token(token, dialect=NAME)
