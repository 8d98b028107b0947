"""Pushes to devices through Firebase Cloud Messaging, HTTP v1 (facts: firebase.google.com/docs/reference/fcm/rest).

A device's token and the service account are secrets: no log line, error or row shows one. Nothing here raises for what network
or service do; who asked tries again later, or forgets a device that is gone.
"""

import json
import unicodedata
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol
from urllib.parse import urlsplit

import jwt
import structlog
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from brokers.answers import Answered, WireResult
from brokers.connections import ConnectionPool
from brokers.transport import Transport
from runtime.alarm_words import Message
from runtime.settings import Settings
from storage.models import Severity
from trading.ports.clock import Clock

_log = structlog.get_logger()

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# The service takes 4,096 bytes for a whole message.
MOST_BODY_BYTES = 2_500
# An assertion lives for an hour at most; an access token is renewed before its end (seconds).
ASSERTION_SECONDS = 3_600
RENEW_SECONDS = 120
TIMEOUT_SECONDS = 10.0


class Pushed(Enum):
    """`GONE`: the service says that this token never works again."""

    TAKEN = "taken"
    GONE = "gone"
    NOT_NOW = "not_now"


class Push(Protocol):
    """Somewhere a device's messages are handed over."""

    async def push(self, token: str, message: Message) -> Pushed: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """As Google's JSON file has it. `repr` shows none of its secrets."""

    project_id: str
    client_email: str
    token_url: str
    key: Any

    def __repr__(self) -> str:
        return f"ServiceAccount({self.project_id!r})"


def open_push(settings: Settings, clock: Clock) -> Push | None:
    """None where no service account is set. Raises ValueError, naming the setting and nothing of what it holds."""
    given = settings.fcm_service_account.get_secret_value().strip()
    return FirebasePush(read_account(given), url=settings.fcm_url, clock=clock) if given else None


def read_account(text: str) -> ServiceAccount:
    """Raises ValueError, naming the setting and nothing of what it holds."""
    try:
        found = json.loads(text)
        key = load_pem_private_key(found["private_key"].encode(), password=None)
        return ServiceAccount(str(found["project_id"]), str(found["client_email"]), str(found["token_uri"]), key)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError("FCM_SERVICE_ACCOUNT is not the JSON of a service account") from None


class FirebasePush:
    def __init__(self, account: ServiceAccount, *, url: str, clock: Clock) -> None:
        self._account = account
        self._url = url
        self._clock = clock
        self._pool = ConnectionPool(write_connections=10, read_connections=1)
        self._token = ""
        self._renew_at = float("-inf")

    async def push(self, token: str, message: Message) -> Pushed:
        """One attempt."""
        access = await self._access_token()
        if not access:
            return Pushed.NOT_NOW
        path = f"/v1/projects/{self._account.project_id}/messages:send"
        headers = {"Authorization": f"Bearer {access}"}
        result = await self._transport(self._url, headers).write("POST", path, json=_body(token, message))
        outcome = outcome_of(result)
        if isinstance(result, Answered) and result.status == 401:
            self._renew_at = float("-inf")
        if outcome is not Pushed.TAKEN:
            status = result.status if isinstance(result, Answered) else None
            _log.info("push_not_taken", outcome=outcome.value, status=status)
        return outcome

    async def close(self) -> None:
        await self._pool.close()

    async def _access_token(self) -> str:
        """Empty: none to be had now."""
        if self._clock.monotonic() < self._renew_at:
            return self._token
        parts = urlsplit(self._account.token_url)
        form = [("grant_type", GRANT), ("assertion", self._assertion())]
        asked_at = self._clock.monotonic()
        result = await self._transport(f"{parts.scheme}://{parts.netloc}", {}).write("POST", parts.path or "/", form=form)
        found = _json(result) if isinstance(result, Answered) and result.status == 200 else {}
        token, lives = found.get("access_token"), found.get("expires_in")
        if not isinstance(token, str) or not isinstance(lives, int):
            _log.warning("push_not_authorised", status=result.status if isinstance(result, Answered) else None)
            return ""
        self._token, self._renew_at = token, asked_at + lives - RENEW_SECONDS
        return token

    def _assertion(self) -> str:
        now = int(self._clock.now().timestamp())
        claims = {"iss": self._account.client_email, "scope": SCOPE, "aud": self._account.token_url}
        return jwt.encode({**claims, "iat": now, "exp": now + ASSERTION_SECONDS}, self._account.key, algorithm="RS256")

    def _transport(self, url: str, headers: dict[str, str]) -> Transport:
        return Transport(base_url=url, connections=self._pool, timeout_seconds=TIMEOUT_SECONDS, headers=headers)


def outcome_of(result: WireResult) -> Pushed:
    """A token is gone only if the service says so of the token: a wrong project is a 404 as well."""
    if not isinstance(result, Answered):
        return Pushed.NOT_NOW
    if result.status == 200:
        return Pushed.TAKEN
    error = _json(result).get("error")
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and (detail.get("errorCode") == "UNREGISTERED" or _blames_the_token(detail)):
            return Pushed.GONE
    return Pushed.NOT_NOW


def _blames_the_token(detail: dict[str, Any]) -> bool:
    violations = detail.get("fieldViolations")
    named = [one.get("field") for one in violations if isinstance(one, dict)] if isinstance(violations, list) else []
    return "message.token" in named


def _json(result: Answered) -> dict[str, Any]:
    try:
        found = json.loads(result.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _body(token: str, message: Message) -> bytes:
    severity = "over" if message.severity is None else message.severity.value
    is_urgent = message.severity is Severity.CRITICAL
    content = {
        "token": token,
        "notification": {"title": message.title, "body": _shortened(message.body)},
        "data": {"severity": severity},
        "android": {"priority": "high" if is_urgent else "normal"},
        "apns": {"headers": {"apns-priority": "10" if is_urgent else "5"}, "payload": {"aps": {"sound": "default"}}},
    }
    return json.dumps({"message": content}, ensure_ascii=False).encode()


def _shortened(text: str) -> str:
    """To what fits, ending in whole characters."""
    encoded = unicodedata.normalize("NFC", text).encode()
    if len(encoded) <= MOST_BODY_BYTES:
        return text
    return encoded[:MOST_BODY_BYTES].decode(errors="ignore") + " …"
