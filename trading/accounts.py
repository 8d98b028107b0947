"""Broker accounts: which broker, live or simulated, and what a login yields."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum


class BrokerName(str, Enum):
    """`PAPER` is none: prices of whatever feed there is, fills by rules of our own, kept in Postgres."""

    ZERODHA = "zerodha"
    DHAN = "dhan"
    FYERS = "fyers"
    ANGEL_ONE = "angel_one"
    PAPER = "paper"

    @property
    def has_servers(self) -> bool:
        return self is not BrokerName.PAPER


class Environment(str, Enum):
    """Fixed when an account is connected, by the host its broker URL names."""

    LIVE = "live"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Unsealed secrets of one account. Never logged, never put in a workflow; repr shows none of them.

    What `api_key` and `api_secret` are differs: Zerodha's key and secret, Dhan's app id and secret, Fyers' app id and secret id,
    Angel One's API key and nothing. `broker_user_id` is the user's own number at brokers that ask for it: Dhan's client id, Angel
    One's client code.
    """

    api_key: str
    api_secret: str
    access_token: str | None = None
    broker_user_id: str = ""
    refresh_token: str | None = None
    feed_token: str | None = None

    def __repr__(self) -> str:
        return "Credentials(...)"


@dataclass(frozen=True, slots=True)
class LoginAnswer:
    """What a person brings from a login, used once, never stored: the redirect's code (request_token, auth_code, tokenId),
    or PIN and one-time code, or tokens of a login made elsewhere. repr shows none of it."""

    code: str | None = None
    pin: str | None = None
    one_time_code: str | None = None
    access_token: str | None = None
    refresh_token: str | None = None
    feed_token: str | None = None

    @property
    def is_empty(self) -> bool:
        return self == LoginAnswer()

    def __repr__(self) -> str:
        return "LoginAnswer(...)"


@dataclass(frozen=True, slots=True)
class BrokerSession:
    """What a login yields. `expires_at` is aware. Brokers without refresh or feed tokens leave those None."""

    access_token: str
    broker_user_id: str
    expires_at: datetime
    refresh_token: str | None = None
    feed_token: str | None = None

    def __repr__(self) -> str:
        return f"BrokerSession(broker_user_id={self.broker_user_id!r}, expires_at={self.expires_at!r})"


@dataclass(frozen=True, slots=True)
class Profile:
    broker_user_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Margins:
    """Money available for trading shares, rupees."""

    available: Decimal
    used: Decimal
