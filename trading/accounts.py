"""Broker accounts: which broker, live or simulated, and what a login yields."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum


class BrokerName(str, Enum):
    ZERODHA = "zerodha"
    DHAN = "dhan"
    FYERS = "fyers"
    ANGEL_ONE = "angel_one"


class Environment(str, Enum):
    """Fixed when an account is connected, by the host its broker URL names."""

    LIVE = "live"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Unsealed secrets of one account. Never logged, never put in a workflow; repr shows none of them."""

    api_key: str
    api_secret: str
    access_token: str | None = None

    def __repr__(self) -> str:
        return "Credentials(...)"


@dataclass(frozen=True, slots=True)
class BrokerSession:
    """What a login yields. `expires_at` is aware."""

    access_token: str
    broker_user_id: str
    expires_at: datetime

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
