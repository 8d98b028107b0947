"""The playground: prices brought along, simulations, backtests, and what came of them."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from api.schemas.common import (
    Answer,
    Count,
    Day,
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
    number_only,
)
from storage.models import JobKind, JobState
from trading.accounts import BrokerName
from trading.instruments import Product

RESULT_EXAMPLE = "pgj_01jb3m5k8r2v9x4c7n6q1t0w3z"
DATA_EXAMPLE = "dat_01jb3m5k8r2v9x4c7n6q1t0w3z"
MOST_PLANS = 20
MOST_VALUES = 100
DISCLAIMER = (
    "Hypothetical. Nothing was traded: these figures were reckoned afterwards from past or made-up prices, with assumed fills "
    "and estimated charges. Real orders are filled later, in part, at other prices or not at all. What happened before says "
    "nothing about what will happen. This is neither advice nor a promise of any return; do not advertise with it."
)


def _percent(value: Decimal) -> Decimal:
    if not 0 < value < 100 or value != round(value, 2):
        raise PydanticCustomError("INVALID_VALUE", "must be above 0 and below 100, with at most two decimals")
    return value


def _basis_points(value: Decimal) -> Decimal:
    if not 0 <= value <= 1000 or value != round(value, 2):
        raise PydanticCustomError("INVALID_VALUE", "must be 0 to 1000, with at most two decimals")
    return value


Percent = Annotated[
    Decimal,
    BeforeValidator(number_only),
    AfterValidator(_percent),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100, "examples": [1.5]}),
]
BasisPoints = Annotated[
    Decimal,
    BeforeValidator(number_only),
    AfterValidator(_basis_points),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1000, "examples": [5]}),
]


class PlanToTry(StrictBody):
    """A strategy of yours (`strategy_id`), or a plan of its own. Stop and target may be percentages below and above the last
    price known before the buy time."""

    strategy_id: str | None = Field(None, max_length=40, examples=[None])
    symbol: Symbol | None = None
    exchange: Exchange = "NSE"
    product: Product = Product.MIS
    quantity: Quantity | None = None
    buy_time: TimeOfDay | None = None
    sell_time: SellTime | None = None
    stop_loss: StopPrice | None = Field(None, examples=[None])
    stop_loss_percent: Percent | None = None
    target_price: TargetPrice | None = Field(None, examples=[None])
    target_percent: Percent | None = None
    trailing_by: TrailingRupees | None = Field(None, examples=[None])
    trailing_percent: TrailingPercent | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> "PlanToTry":
        own = (self.symbol, self.quantity, self.buy_time, self.sell_time)
        ways_out = (self.target_price, self.target_percent, self.trailing_by, self.trailing_percent)
        if self.strategy_id is None and None in own:
            raise PydanticCustomError("INVALID_VALUE", "give strategy_id, or symbol, quantity, buy_time, sell_time and a stop")
        if self.strategy_id is not None and any(value is not None for value in (*own, self.stop_loss, *ways_out)):
            raise PydanticCustomError("INVALID_VALUE", "give strategy_id or a plan of its own, not both")
        stops = (self.stop_loss is not None) + (self.stop_loss_percent is not None)
        if stops > 1 or (self.strategy_id is None and not stops):
            raise PydanticCustomError("INVALID_VALUE", "give one stop: stop_loss or stop_loss_percent")
        if self.target_price is not None and self.target_percent is not None:
            raise PydanticCustomError("INVALID_TARGET_PRICE", "give target_price or target_percent, not both")
        if self.trailing_by is not None and self.trailing_percent is not None:
            raise PydanticCustomError("INVALID_TRAILING_STOP", "give trailing_by or trailing_percent, not both")
        return self


class RulesToTry(StrictBody):
    """How the past is judged; docs/playground.md has every rule."""

    slippage_bps: BasisPoints = Field(Decimal(5), description="Hundredths of a percent lost on each side")
    stale_after_seconds: Count = Field(
        120, ge=0, le=3_600, description="A price that comes later than this after its moment is none"
    )
    with_charges: YesNo = Field(True, description="Estimate what broker, exchange and state would take")
    broker: BrokerName = Field(BrokerName.ZERODHA, description="Whose rates the charges are estimated by")


class SweepToTry(StrictBody):
    """Every combination of these values is tried for every plan; what is left out stays as the plan has it. Combinations that buy
    after they sell, or whose target is not above their stop, are left out."""

    stop_loss: list[StopPrice] = Field(default_factory=list, max_length=MOST_VALUES)
    stop_loss_percent: list[Percent] = Field(default_factory=list, max_length=MOST_VALUES)
    target_price: list[TargetPrice] = Field(default_factory=list, max_length=MOST_VALUES)
    target_percent: list[Percent] = Field(default_factory=list, max_length=MOST_VALUES)
    trailing_percent: list[TrailingPercent] = Field(default_factory=list, max_length=MOST_VALUES)
    buy_time: list[TimeOfDay] = Field(default_factory=list, max_length=MOST_VALUES)
    sell_time: list[SellTime] = Field(default_factory=list, max_length=MOST_VALUES)


_PLAN: JsonDict = {"symbol": "SAMPLE", "quantity": 10, "buy_time": "09:30:00", "sell_time": "15:00:00", "stop_loss_percent": 1}


class Backtest(StrictBody):
    """Without `data_id` the sample that comes with the project is used, which is made up."""

    model_config = {
        "json_schema_extra": {"examples": [{"plans": [_PLAN], "sweep": {"stop_loss_percent": [0.5, 1, 2]}}, {"plans": [_PLAN]}]}
    }

    name: str = Field("", max_length=120)
    plans: list[PlanToTry] = Field(min_length=1, max_length=MOST_PLANS)
    data_id: str | None = Field(None, max_length=40, examples=[None])
    from_day: Day | None = None
    to_day: Day | None = None
    sweep: SweepToTry = Field(default_factory=SweepToTry)
    rules: RulesToTry = Field(default_factory=RulesToTry)


class MadeUpDay(StrictBody):
    """A seeded random walk, one price a second. The same values make the same day."""

    seed: Count = Field(1, ge=0, le=2**31 - 1)
    start_price: StopPrice = Field(Decimal(1000))
    step_percent: Percent = Field(Decimal("0.02"), le=5, description="How far the price moves in a second at most")


class Simulate(StrictBody):
    """One plan over one day: made up, or of your prices (`data_id` and `day`)."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "plan": {"symbol": "TCS", "quantity": 10, "buy_time": "09:30:00", "sell_time": "15:00:00", "stop_loss": 990},
                    "speed": 600,
                }
            ]
        }
    }

    name: str = Field("", max_length=120)
    plan: PlanToTry
    made_up: MadeUpDay | None = None
    data_id: str | None = Field(None, max_length=40, examples=[None])
    day: Day | None = None
    speed: float = Field(
        0,
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="Seconds of the day shown in a second; 1 is life, 0 shows all at once",
    )
    depth: Quantity | None = Field(
        None,
        examples=[None],
        description="How many shares the market gives and takes at each price; null: as many as are wanted",
    )
    rules: RulesToTry = Field(default_factory=RulesToTry)

    @model_validator(mode="after")
    def _one_source(self) -> "Simulate":
        if self.data_id is not None and (self.made_up is not None or self.day is None):
            raise PydanticCustomError("INVALID_VALUE", "with data_id give its day, and no made_up")
        if 0 < self.speed < 1:
            raise PydanticCustomError("INVALID_VALUE", "speed is 0 or at least 1")
        return self


class Caution(Answer):
    """Why a result should not be believed too easily."""

    code: Literal[
        "MADE_UP_PRICES",
        "MANY_COMBINATIONS",
        "FEW_DAYS",
        "DAYS_NOT_JUDGED",
        "GAPS_WHILE_HOLDING",
        "OTHER_SYMBOL",
        "NOT_LISTED",
        "NO_CHARGES",
    ]
    message: str


class FetchPrices(StrictBody):
    """Minute bars from a broker account of the user's: thirty days at most, Indian days, both ends included."""

    broker_id: str = Field(max_length=40, examples=["brk_01jb3m5k8r2v9x4c7n6q1t0w3z"])
    symbol: Symbol
    exchange: Exchange = "NSE"
    from_day: Day
    to_day: Day
    name: str = Field("", max_length=120, examples=["TCS in October"])


class DataAnswer(Answer):
    data_id: str = Field(examples=[DATA_EXAMPLE])
    name: str
    exchange: str
    symbol: str
    format: Literal["csv", "parquet"]
    bar_seconds: int = Field(description="Length of a bar; 0: ticks")
    rows: int
    days: int
    first_day: date
    last_day: date
    created_at: Instant


class Accepted(Answer):
    result_id: str = Field(examples=[RESULT_EXAMPLE])
    status: JobState
    total: int = Field(description="Plans times days, at most")
    disclaimer: str = DISCLAIMER


class ResultAnswer(Answer):
    result_id: str = Field(examples=[RESULT_EXAMPLE])
    kind: JobKind
    status: JobState
    name: str
    data_id: str | None
    total: int
    finished: int
    progress: float = Field(description="0 to 1; while a day is shown, how much of it", ge=0, le=1)
    failure: str
    created_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    disclaimer: str = DISCLAIMER


class PlanResult(Answer):
    """One plan, or one combination of a sweep. `rank` 1 did best on the days it may be chosen by."""

    rank: int
    number: int
    symbol: str
    exchange: str
    product: Product
    quantity: int
    buy_time: TimeOfDay
    sell_time: SellTime
    stop_loss: Rupees | None
    stop_loss_percent: Exact | None
    target_price: Rupees | None
    target_percent: Exact | None
    trailing_by: Rupees | None
    trailing_percent: Exact | None
    outcomes: Mapping[str, int] = Field(description="Days by how they ended, or why they were not judged")
    trades: int
    wins: int
    days_with_gaps: int
    gross: Rupees
    charges: Rupees
    net: Rupees
    net_of_first_days: Rupees = Field(description="On the days the ranking is made by")
    net_of_last_days: Rupees = Field(description="On the days that were held back: the better guide")
    best_day: Rupees | None
    worst_day: Rupees | None
    greatest_drawdown: Rupees


class BacktestResult(Answer):
    days: int
    first_day: date | None
    last_day: date | None
    held_back_from: date | None = Field(description="From this day on nothing counts for the ranking; null: too few days")
    has_charges: bool
    plans: Sequence[PlanResult]


class SimulatedEvent(Answer):
    at: Instant
    kind: str
    message: str
    price: Rupees | None
    quantity: int | None


class SimulationResult(Answer):
    """`events` up to the moment that is shown; the outcome is null until all of it was."""

    day: date
    outcome: str | None
    detail: str
    bought: int | None
    sold: int | None
    gross: Rupees | None
    shown_until: Instant | None
    events: Sequence[SimulatedEvent]


class FullResult(ResultAnswer):
    request: dict[str, Any] = Field(description="What was asked, with everything that was assumed")
    cautions: Sequence[Caution]
    backtest: BacktestResult | None
    simulation: SimulationResult | None


class DayResult(Answer):
    sequence: int
    number: int = Field(description="Which plan, as in `plans`")
    trading_day: date
    outcome: str
    is_judged: bool
    quantity: int
    stop_loss: Rupees | None
    bought_at: Instant | None
    buy_price: Rupees | None
    sold_at: Instant | None = Field(description="When the bar began that the sale fell into")
    sell_price: Rupees | None
    has_gap: bool
    gross: Rupees
    charges: Rupees
    net: Rupees
