"""Statistics of a broker, for its own staff and for Admins: never an account, never a secret, users only masked."""

from collections.abc import Mapping, Sequence
from datetime import date

from pydantic import Field

from api.schemas.common import Answer, Instant, Rupees
from api.schemas.system import Series
from trading.accounts import BrokerName
from trading.runs import StrategyState


class OrderStatistics(Answer):
    """Of orders that were sent in these days. Latencies: from our first byte to the broker's acknowledgement."""

    sent: int
    refused: int
    in_doubt: int = Field(description="No clear answer yet")
    success_rate: float | None = Field(description="Share of the orders sent that were not refused; null: none was sent")
    filled_quantity: int
    filled_value: Rupees
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class RefusalAnswer(Answer):
    at: Instant
    kind: str
    user: str = Field(description="Masked: the same for the same user on the same day", examples=["user-7d1f0a2c"])


class BrokerStatistics(Answer):
    broker: BrokerName
    accounts: int
    connected: int
    users: int
    open_runs: int
    strategies: Mapping[StrategyState, int] = Field(description="By state")
    orders_today: int
    orders_rejected_today: int
    from_day: date
    orders: OrderStatistics
    errors: Mapping[str, int] = Field(description="Refusals by class")
    recent_refusals: Sequence[RefusalAnswer]


class BrokerStatisticsList(Answer):
    items: Sequence[BrokerStatistics]


class BrokerHealth(Answer):
    """Calls of all our processes to the broker's API."""

    broker: BrokerName
    from_at: Instant
    to_at: Instant
    step_seconds: int
    series: Sequence[Series]
