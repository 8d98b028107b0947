"""Results: sums by group, the equity curve."""

from collections.abc import Sequence
from datetime import date
from enum import Enum

from pydantic import Field

from api.schemas.common import Answer, Rupees
from trading.accounts import BrokerName, Environment


class GroupedBy(str, Enum):
    STRATEGY = "strategy"
    DAY = "day"
    MONTH = "month"
    ACCOUNT = "account"
    SYMBOL = "symbol"


class LatenessAnswer(Answer):
    """Milliseconds from the instant an order was wanted until it was sent; null before the first order."""

    orders: int
    median_ms: int | None
    p95_ms: int | None = Field(description="95 of 100 orders were not later than this")
    worst_ms: int | None


class ResultSums(Answer):
    """Rupees. `realised_pnl - unsold_cost` equals what the fills brought in less what they took out, to the paisa."""

    runs: int
    open_runs: int
    traded_runs: int = Field(description="Ended runs that bought something")
    winning_runs: int = Field(description="Traded runs with a profit after charges, or before them where they are unknown")
    losing_runs: int
    win_rate: float | None = Field(description="Winning among traded runs, 0 to 1; null before the first")
    bought_value: Rupees
    sold_value: Rupees
    realised_pnl: Rupees = Field(description="Before charges")
    unsold_cost: Rupees = Field(description="What the shares cost that the platform has not sold: held, left, or sold elsewhere")
    open_pnl: Rupees | None = Field(description="Of what open runs hold, at the last prices; null while one of them is unknown")
    estimated_charges: Rupees | None = Field(description="Null where no rates are known for a run, such as derivatives")
    net_pnl: Rupees | None = Field(description="Realised, less the estimated charges; null where they are unknown")
    slippage: Rupees = Field(description="Lost between the price wanted (of a stop: its trigger) and the fills; below 0: a gain")
    slippage_runs: int = Field(description="Runs whose slippage is known; the sum is over these")
    unreconciled_runs: int = Field(description="Runs whose fills the broker has not told completely: their own sums stand in")
    uncharged_runs: int
    unpriced_runs: int
    lateness: LatenessAnswer
    end_reasons: dict[str, int]


class ResultGroup(ResultSums):
    key: str = Field(description="Id of the strategy or account, day, month or symbol", examples=["2026-11"])
    name: str = Field(description="What its owner calls it; empty where there is no name")


class ChargeRates(Answer):
    """What the estimate knows of one broker's charges."""

    broker: BrokerName
    source: str
    speaks_of: date | None = Field(description="The day the source is dated or its rates begin; null where it says neither")
    unconfirmed: str = Field(description="What no public page confirms; empty where everything is confirmed")


class Report(Answer):
    """Groups add up to the total, whichever way runs are grouped. Charges are estimates, never an invoice."""

    from_day: date
    to_day: date
    by: GroupedBy
    environment: Environment | None
    total: ResultSums
    groups: Sequence[ResultGroup]
    charges_checked_on: date = Field(description="When the rates of the estimate were last compared with what is published")
    charges_sources: Sequence[str]
    charges_rates: Sequence[ChargeRates]


class CurvePoint(Answer):
    trading_day: date
    runs: int
    result: Rupees = Field(description="Of that day's ended runs")
    equity: Rupees = Field(description="Sum of all results so far, beginning at 0")
    drawdown: Rupees = Field(description="How far below its highest point, 0 at a new high")


class EquityCurve(Answer):
    from_day: date
    to_day: date
    is_net: bool = Field(description="After estimated charges; false where those of any run are unknown, then before charges")
    worst_drawdown: Rupees
    points: Sequence[CurvePoint]
