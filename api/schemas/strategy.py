"""Strategies: the plan as data, and the commands that run it."""

from collections.abc import Sequence
from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.common import (
    Answer,
    Body,
    Count,
    Exact,
    Exchange,
    Instant,
    Quantity,
    Rupees,
    SellTime,
    StopPrice,
    StrictBody,
    Symbol,
    TargetPrice,
    TimeOfDay,
    TrailingPercent,
    TrailingRupees,
    YesNo,
)
from trading.accounts import Environment
from trading.instruments import Product
from trading.plan import Repeat
from trading.runs import EndReason, ExitReason, LastAction, Position, RunState, StrategyState

ID_EXAMPLE = "str_01jb3m5k8r2v9x4c7n6q1t0w3z"


class _Trailing(Body):
    """At most one of the two."""

    trailing_by: TrailingRupees | None = Field(
        None, description="The stop follows the highest price since the entry, this many rupees below it, and is never lowered"
    )
    trailing_percent: TrailingPercent | None = Field(
        None, description="As `trailing_by`, in percent of the highest price", examples=[None]
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.trailing_by is not None and self.trailing_percent is not None:
            raise PydanticCustomError("INVALID_TRAILING_STOP", "give trailing_by or trailing_percent, not both")
        return self


class CreateStrategy(_Trailing):
    """Times are Indian time. The stop-loss is a price and mandatory."""

    model_config = {
        "json_schema_extra": {
            "examples": [{"symbol": "TCS", "buy_time": "09:30:00", "sell_time": "15:30:00", "stop_loss": 3500, "quantity": 10}]
        }
    }

    symbol: Symbol
    quantity: Quantity
    buy_time: TimeOfDay
    sell_time: SellTime
    stop_loss: StopPrice
    target_price: TargetPrice | None = Field(
        None, description="Sell when the price is at or above it; at or above it at the buy time, nothing is bought"
    )
    backup_stop: YesNo = Field(
        False, description="While shares are held, a stop-limit order rests at the broker, about 1 % below the stop"
    )
    exchange: Exchange = "NSE"
    product: Product = Product.MIS
    name: str = Field("", max_length=120, examples=["Morning TCS"])
    broker_id: str | None = Field(None, max_length=40, description="May be left out by users with one broker account")
    repeat: Repeat = Repeat.ONCE
    max_lateness_seconds: Count | None = Field(
        None, ge=0, le=86_400, description="If the platform was down at the buy time: buy at most this much later"
    )


class UpdateStrategy(_Trailing):
    """Fields that are left out stay as they are. Null empties those that may be empty, such as `target_price`; a way of trailing
    replaces the other one."""

    model_config = {"json_schema_extra": {"examples": [{"stop_loss": 3480, "sell_time": "15:00:00"}]}}

    symbol: Symbol | None = None
    quantity: Quantity | None = None
    buy_time: TimeOfDay | None = None
    sell_time: SellTime | None = None
    stop_loss: StopPrice | None = None
    target_price: TargetPrice | None = None
    backup_stop: YesNo | None = None
    exchange: Exchange | None = None
    product: Product | None = None
    name: str | None = Field(None, max_length=120)
    broker_id: str | None = Field(None, max_length=40)
    repeat: Repeat | None = None
    max_lateness_seconds: Count | None = Field(None, ge=0, le=86_400)


class PlanWarning(Answer):
    """Accepted, but worth knowing."""

    code: Literal["STOP_AT_OR_ABOVE_PRICE", "TARGET_AT_OR_BELOW_PRICE", "SELL_TIME_ADVANCED", "CLOSE_TO_STOP"]
    message: str


class PlanAnswer(Answer):
    strategy_id: str = Field(examples=[ID_EXAMPLE])
    user_id: str = Field(description="Whose it is: yours, unless an Admin asked", examples=["usr_01jb3m5k8r2v9x4c7n6q1t0w3z"])
    status: StrategyState
    name: str
    exchange: str
    symbol: str
    product: Product
    quantity: int
    buy_time: TimeOfDay
    sell_time: SellTime
    effective_sell_time: TimeOfDay | None = Field(
        None, description="The sell time, or the last safe moment before it; null while the instrument is not listed"
    )
    stop_loss: Rupees
    target_price: Rupees | None
    trailing_by: Rupees | None
    trailing_percent: Exact | None
    backup_stop: bool
    repeat: Repeat
    max_lateness_seconds: int | None
    broker_id: str | None
    version: int
    created_at: Instant
    updated_at: Instant


class PlanWithWarnings(PlanAnswer):
    warnings: Sequence[PlanWarning] = ()


class StartBody(StrictBody):
    start: Literal["scheduled", "now"] = Field(
        "scheduled", description="`scheduled`: at the next buy time, today if it is still ahead; `now`: buy at once"
    )


class StartOne(StartBody):
    strategy_id: str = Field(max_length=40, examples=[ID_EXAMPLE])


class StopBody(StrictBody):
    square_off: YesNo = Field(True, description="Sell what is held; false leaves the position and only cancels what rests")


class StopOne(StopBody):
    strategy_id: str = Field(max_length=40, examples=[ID_EXAMPLE])


class Started(Answer):
    strategy_id: str = Field(examples=[ID_EXAMPLE])
    status: StrategyState
    run_id: str
    broker_id: str
    environment: Environment
    trading_day: date
    starts_at: Instant = Field(description="When it buys")
    sells_at: Instant = Field(description="When it sells at the latest")
    message: str = Field(examples=["Buys 10 TCS at 09:30:00 on 21 Aug 2026"])
    warnings: Sequence[PlanWarning] = ()


class Stopped(Answer):
    strategy_id: str = Field(examples=[ID_EXAMPLE])
    status: StrategyState
    run_id: str
    run_state: RunState
    square_off: bool
    entry_stopped: bool = Field(description="The buy order had not left and never will")
    position: Position
    message: str = Field(description="What happens now, in words")


class ChangeRunning(StrictBody):
    """At least one of them."""

    model_config = {"json_schema_extra": {"minProperties": 1, "examples": [{"stop_loss": 3520}]}}

    stop_loss: StopPrice | None = None
    target_price: TargetPrice | None = None
    sell_time: SellTime | None = None


class Changed(Answer):
    strategy_id: str
    run_id: str
    stop_loss: Rupees
    stop_version: int = Field(description="Counts every change of the stop and of the target")
    target_price: Rupees | None
    sell_time: SellTime
    sells_at: Instant
    workflow_told: bool = Field(description="False: the orders carry the change already, the workflow learns it when it is back")


class OrderState(Answer):
    order_id: str
    leg: str
    attempt: int
    state: str
    quantity: int
    filled_quantity: int
    average_price: Rupees


class Status(Answer):
    strategy_id: str = Field(examples=[ID_EXAMPLE])
    status: StrategyState
    position: Position
    last_action: LastAction | None
    last_price: Rupees | None
    last_price_at: Instant | None
    run_id: str | None
    run_state: RunState | None
    trading_day: date | None
    quantity: int = Field(description="Shares held now")
    average_buy_price: Rupees | None
    average_sell_price: Rupees | None
    realised_pnl: Rupees
    pnl: Rupees | None = Field(description="Realised and unrealised; null while there is no price for what is held")
    stop_loss: Rupees | None = Field(description="Where the stop stands now")
    target_price: Rupees | None
    highest_price: Rupees | None = Field(description="Of a stop that trails: the highest price since the entry that moved it")
    buys_at: Instant | None
    sells_at: Instant | None
    exit_reason: ExitReason | None
    end_reason: EndReason | None
    end_detail: str
    orders: Sequence[OrderState]
    as_of: Instant


class RunAnswer(Answer):
    run_id: str
    strategy_id: str
    broker_id: str
    environment: Environment
    strategy_version: int
    trading_day: date
    state: RunState
    exchange: str
    symbol: str
    product: Product
    quantity: int
    buys_at: Instant
    sells_at: Instant
    stop_loss: Rupees
    target_price: Rupees | None
    trailing_by: Rupees | None
    trailing_percent: Exact | None
    backup_stop: bool
    highest_price: Rupees | None
    position: Position
    last_action: LastAction | None
    bought: int
    average_buy_price: Rupees | None
    sold: int
    average_sell_price: Rupees | None
    realised_pnl: Rupees
    exit_reason: ExitReason | None
    end_reason: EndReason | None
    end_detail: str
    entry_late_ms: int | None
    exit_late_ms: int | None
    started_at: Instant | None
    ended_at: Instant | None
    created_at: Instant


class TimelineEvent(Answer):
    """One line of what happened; `sequence` is also the id of the event in live streams."""

    sequence: int
    run_id: str
    strategy_id: str
    at: Instant
    kind: str
    message: str
    price: Rupees | None
    quantity: int | None
    late_ms: int | None
