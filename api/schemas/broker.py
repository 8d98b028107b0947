"""Broker accounts: connecting, logging in, and reading the broker's own books."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from api.schemas.common import Answer, Instant, Rupees
from trading.accounts import BrokerName, Environment
from trading.instruments import Product
from trading.orders import BrokerOrderStatus, Side

# `login_required`: stored, and a person has to log in (first time, or the daily token has expired).
Connection = Literal["connected", "login_required"]


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
