"""Broker accounts: connecting, logging in, and reading the broker's own books."""

from collections.abc import Sequence
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr

from api.schemas.common import Answer, Body, Instant, Rupees
from trading.accounts import BrokerName, Environment
from trading.instruments import Product
from trading.orders import BrokerOrderStatus, Side

# `login_required`: stored, and a person has to log in (first time, or the daily token has expired).
Connection = Literal["connected", "login_required"]


class Connect(Body):
    """`secret_key` and `broker_name` are accepted for `api_secret` and `broker`."""

    broker: str = Field("zerodha", validation_alias=AliasChoices("broker", "broker_name"), max_length=24, examples=["zerodha"])
    api_key: SecretStr = Field(min_length=1, max_length=200, examples=["kitefront"])
    api_secret: SecretStr = Field(
        min_length=1, max_length=400, validation_alias=AliasChoices("api_secret", "secret_key"), examples=["s3cr3t"]
    )
    access_token: SecretStr | None = Field(None, min_length=1, max_length=2_000, description="If you have logged in already")
    request_token: SecretStr | None = Field(None, min_length=1, max_length=400, description="From the broker's login redirect")
    label: str = Field("", max_length=100, examples=["My Kite account"])


class Connected(Answer):
    broker_id: str = Field(examples=["brk_01jb3m5k8r2v9x4c7n6q1t0w3z"])
    status: Connection
    broker_valid: bool = Field(description="The broker has accepted the credentials")
    broker: BrokerName
    environment: Environment
    login_url: str | None = Field(None, description="Where to log in, while status is login_required")


class Account(Answer):
    broker_id: str
    broker: BrokerName
    environment: Environment
    label: str
    broker_user_id: str
    status: Connection
    token_expires_at: Instant | None
    health: str
    health_detail: str
    created_at: Instant


class Accounts(Answer):
    items: Sequence[Account]


class Deleted(Answer):
    status: Literal["deleted"] = "deleted"
    id: str


class LoginUrl(Answer):
    broker_id: str
    login_url: str = Field(description="Open in a browser; the broker leads back to this platform")


class NewSession(Body):
    """One of the two: the token of the login redirect, or an access token."""

    request_token: SecretStr | None = Field(None, min_length=1, max_length=400)
    access_token: SecretStr | None = Field(None, min_length=1, max_length=2_000)


class PositionAnswer(Answer):
    exchange: str
    symbol: str
    product: Product | None
    net_quantity: int
    average_price: Rupees
    last_price: Rupees


class BrokerOrderAnswer(Answer):
    broker_order_id: str
    exchange: str
    symbol: str
    product: Product | None
    side: Side
    quantity: int
    filled_quantity: int
    price: Rupees
    average_price: Rupees
    status: BrokerOrderStatus
    message: str
    tag: str | None
    ours: bool = Field(description="Placed by this platform, judged by its tag")
    updated_at: Instant | None


class Positions(Answer):
    items: Sequence[PositionAnswer]


class BrokerOrders(Answer):
    items: Sequence[BrokerOrderAnswer]


class MarginsAnswer(Answer):
    available: Rupees
    used: Rupees


class PostbackTaken(Answer):
    status: Literal["ok"] = "ok"
