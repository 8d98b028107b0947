"""What live streams carry: the `data` of each kind of event."""

from collections.abc import Sequence
from datetime import date

from pydantic import Field

from api.schemas.common import Answer, Instant, Rupees
from api.schemas.day_readiness import CheckAnswer
from api.schemas.strategy import Status
from api.schemas.trading import AlertAnswer
from trading.day_readiness import Verdict
from trading.orders import Leg, Side


class ReadinessNews(Answer):
    """`readiness`: what a look before the open has found of one account; `GET /readiness` looks anew."""

    broker_id: str
    trading_day: date
    check_time: str = Field(description="When it was looked, Indian time", examples=["08:45"])
    verdict: Verdict
    checks: Sequence[CheckAnswer]
    checked_at: Instant


class StreamSnapshot(Answer):
    """`snapshot`: how everything stands when the stream begins. Changes follow, some of which it may show already."""

    as_of: Instant
    strategies: Sequence[Status] = Field(description="Those that are running; the stream of one strategy: that one")
    alerts: Sequence[AlertAnswer] = Field(description="Those that are open, the user's own and the platform's")
    readiness: Sequence[ReadinessNews] = Field(description="Of each account: what the newest look of these days has found")


class FillNews(Answer):
    """`fill`: one execution, as the broker's trade book lists it. The same `fill_id` is the same fill."""

    fill_id: str
    order_id: str
    run_id: str
    strategy_id: str
    broker_id: str
    leg: Leg
    side: Side
    exchange: str
    symbol: str
    quantity: int
    price: Rupees
    filled_at: Instant


class PriceNews(Answer):
    """`price`: the newest price of a symbol that a running strategy of the user's trades; at most four a second of each."""

    exchange: str
    symbol: str
    price: Rupees
    at: Instant = Field(description="When the price was seen")
