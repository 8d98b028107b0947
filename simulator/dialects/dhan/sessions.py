"""Who is logged in at Dhan: tokens of 24 hours that say whose they are (DhanHQ v2 documentation, "Authentication")."""

import base64
import secrets

import orjson

from simulator.clock import SECOND_NS, india_text
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.registry import Registry

DIALECT = "dhan"
LIFE_SECONDS = 24 * 3600
_HEAD = {"typ": "JWT", "alg": "HS512"}


class Sessions:
    """Issues tokens, and finds accounts by token, client id and API key."""

    def __init__(self, exchange: Exchange, registry: Registry) -> None:
        self._exchange = exchange
        self._registry = registry

    def issue(self, account: Account) -> str:
        """A new token; the one before is dead."""
        now = self._exchange.clock()
        token = _token(account.user_id, now // SECOND_NS)
        return self._registry.open_session(account, dialect=DIALECT, token=token, expires_ns=now + LIFE_SECONDS * SECOND_NS)

    def living(self, account: Account) -> str | None:
        """The account's token, if it is logged in here."""
        return self._registry.living_token(account, DIALECT)

    def of_token(self, token: str) -> Account | None:
        """The account behind a living token, or None."""
        return self._registry.of_token(token, dialect=DIALECT)

    def of_client(self, client_id: str) -> Account | None:
        """The account with that client id."""
        return self._registry.of_user(client_id)

    def of_app(self, app_id: str, app_secret: str) -> Account | None:
        """The account of an API key, if the secret is its own."""
        account = self._registry.find(app_id)
        if account is None or not secrets.compare_digest(account.api_secret.encode(), app_secret.encode()):
            return None
        return account

    def answer(self, account: Account) -> dict[str, object]:
        """What a login answers with."""
        return {
            "dhanClientId": account.user_id,
            "dhanClientName": f"SIMULATED {account.user_id}",
            "dhanClientUcc": account.user_id,
            "givenPowerOfAttorney": False,
            "accessToken": account.access_token,
            "expiryTime": india_text(account.access_token_expires_ns).replace(" ", "T") + ".000",
        }


def _token(client_id: str, issued: int) -> str:
    """In the form of a JSON web token, with the claims a real one has. The signature is random: nobody here can check one."""
    claims = {
        "iss": "dhan",
        "partnerId": "",
        "exp": issued + LIFE_SECONDS,
        "iat": issued,
        "tokenConsumerType": "SELF",
        "webhookUrl": "",
        "dhanClientId": client_id,
    }
    parts = [base64.urlsafe_b64encode(orjson.dumps(part)).decode().rstrip("=") for part in (_HEAD, claims)]
    return ".".join([*parts, secrets.token_urlsafe(48)])
