"""Orders, instruments, analytics, safety."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from api.schemas.common import LARGEST_PRICE, Answer, Count, Exact, Instant, Rupees, StrictBody, TimeOfDay, YesNo, number_only
from storage.models import KillScope, Severity
from trading.instruments import Product, Segment
from trading.orders import Leg, OrderState, Side
from trading.runs import ExitReason
from trading.standing import Standing

LARGEST_AMOUNT = LARGEST_PRICE * 10_000


def _amount(value: Decimal) -> Decimal:
    if not 0 < value <= LARGEST_AMOUNT:
        raise PydanticCustomError("INVALID_VALUE", "must be above 0 and below ten thousand crore rupees")
    return value.quantize(Decimal("0.01"))


_AMOUNT_SCHEMA = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": r"^\d+(\.\d{1,2})?$"}]}
Amount = Annotated[
    Decimal,
    BeforeValidator(number_only),
    AfterValidator(_amount),
    WithJsonSchema(_AMOUNT_SCHEMA | {"examples": [100000]}),
]


class OrderAnswer(Answer):
    order_id: str
    run_id: str
    strategy_id: str
    broker_id: str
    trading_day: date
    leg: Leg
    attempt: int
    state: OrderState
    exchange: str
    symbol: str
    product: Product
    side: Side
    quantity: int
    filled_quantity: int
    price: Rupees | None
    average_price: Rupees
    reason: ExitReason | None
    tag: str
    broker_order_id: str | None
    exchange_order_id: str | None
    message: str = Field(description="The broker's own words, if it said any")
    late_ms: int | None = Field(description="Milliseconds between the wanted instant and the sending")
    wanted_at: Instant | None
    sent_at: Instant | None
    acknowledged_at: Instant | None
    filled_at: Instant | None
    ended_at: Instant | None
    created_at: Instant


class FillAnswer(Answer):
    trade_id: str
    quantity: int
    price: Rupees
    filled_at: Instant


class OrderWithFills(OrderAnswer):
    fills: Sequence[FillAnswer]


class InstrumentAnswer(Answer):
    exchange: str
    symbol: str
    name: str
    segment: Segment
    tick_size: Exact
    lot_size: int
    freeze_quantity: int | None
    last_price: Rupees | None = Field(description="Only while its price is being followed")
    opens: TimeOfDay
    closes: TimeOfDay
    last_safe_exit: TimeOfDay = Field(description="Later sell times are advanced to this")


class Instruments(Answer):
    items: Sequence[InstrumentAnswer]


class Summary(Answer):
    """Over all runs that have ended. The figures are those of the report: money from the fills, charges estimated."""

    strategies: int
    open_runs: int
    ended_runs: int
    traded_runs: int = Field(description="Ended runs that bought something")
    winning_runs: int = Field(description="Traded runs with a profit after charges, or before them where they are unknown")
    losing_runs: int
    win_rate: float | None = Field(description="Winning among traded runs, 0 to 1; null before the first")
    realised_pnl: Rupees = Field(description="Before charges")
    realised_pnl_today: Rupees
    estimated_charges: Rupees | None = Field(description="Null where no rates are known for a run, such as derivatives")
    net_pnl: Rupees | None = Field(description="Realised, less the estimated charges; null where they are unknown")
    net_pnl_today: Rupees | None
    unreconciled_runs: int = Field(description="Runs whose fills the broker has not told completely: their own sums stand in")
    stopped_by_stop_loss: int
    end_reasons: dict[str, int]


class PnlOfDay(Answer):
    trading_day: date
    runs: int
    realised_pnl: Rupees
    cumulative_pnl: Rupees = Field(description="Sum of `realised_pnl` so far, beginning at 0")
    estimated_charges: Rupees | None
    net_pnl: Rupees | None


class Pnl(Answer):
    """Over runs that have ended and bought something. The figures are those of the report."""

    from_day: date
    to_day: date
    realised_pnl: Rupees
    estimated_charges: Rupees | None = Field(description="Null where no rates are known for a run, such as derivatives")
    net_pnl: Rupees | None
    days: Sequence[PnlOfDay]


class EngageKillSwitch(StrictBody):
    """`platform` is for Admins; `account` and `strategy` need `scope_id`."""

    scope: KillScope = KillScope.USER
    scope_id: str | None = Field(None, max_length=40)
    square_off: YesNo = Field(True, description="Sell what is held; false only stops new orders")
    reason: str = Field("", max_length=500)


class RunUnderSwitch(Answer):
    """`flat_verified`: by its own fills and the broker's position; `flat`: the position could not be read now; `differs`: the two
    do not agree; `pending`: an order works or shares are still to be sold; `held`: covered, and not asked to be sold."""

    run_id: str
    strategy_id: str
    symbol: str
    standing: Standing
    message: str


class KillSwitchAnswer(Answer):
    kill_switch_id: str
    scope: KillScope
    scope_id: str
    square_off: bool
    reason: str
    engaged_at: Instant
    status: Literal["engaged", "released"]
    runs_affected: int = Field(0, description="Open runs in its scope when it was engaged; 0 when it is listed")
    runs: Sequence[RunUnderSwitch] | None = Field(
        None, description="Live, in the list only: runs of yours in its scope that are open or have ended since, newest first"
    )


class KillSwitches(Answer):
    items: Sequence[KillSwitchAnswer]


class RiskLimitsAnswer(Answer):
    """What the account has set itself; null leaves it to the installation's default, if there is one. Rupees."""

    broker_id: str
    max_order_value: Rupees | None
    max_open_value: Rupees | None
    max_orders_per_day: int | None
    max_daily_loss: Rupees | None
    square_off_on_loss: bool = Field(description="Whether the daily loss also sells what is held")


class RiskLimitsList(Answer):
    items: Sequence[RiskLimitsAnswer]


class SetRiskLimits(StrictBody):
    """Replaces all limits of the account; what is left out or null is left to the installation's default, if there is one."""

    broker_id: str | None = Field(None, max_length=40, description="May be left out by users with one broker account")
    max_order_value: Amount | None = None
    max_open_value: Amount | None = None
    max_orders_per_day: Count | None = Field(None, ge=1, le=100_000)
    max_daily_loss: Amount | None = None
    square_off_on_loss: YesNo = Field(
        False, description="At the daily loss: false locks the account, true also sells what is held"
    )


class AlertAnswer(Answer):
    alert_id: str
    kind: str = Field(description="docs/runbooks has a page for each")
    title: str
    severity: Severity
    message: str
    ends_when: str = Field(description="What ends it, in words")
    broker_id: str | None
    run_id: str | None
    raised_at: Instant
    cleared_at: Instant | None
    acknowledged_at: Instant | None
