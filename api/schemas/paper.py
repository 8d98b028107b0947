"""Paper accounts: what they begin with, and what is in them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from api.schemas.common import LARGEST_QUANTITY, Answer, Exact, Instant, Rupees, StrictBody, number_only
from api.schemas.trading import Amount
from runtime.paper.opening import PaperTerms
from trading.instruments import Product
from trading.paper import DEFAULT_CASH, PaperRules

MOST_SLIPPAGE = Decimal(10)


def _percent(value: Decimal) -> Decimal:
    if not 0 <= value <= MOST_SLIPPAGE:
        raise PydanticCustomError("INVALID_VALUE", "must be between 0 and 10 per cent")
    return value.quantize(Decimal("0.0001"))


def _shares(value: int) -> int:
    if not 0 < value <= LARGEST_QUANTITY:
        raise PydanticCustomError("INVALID_VALUE", "must be between 1 and one crore")
    return value


Shares = Annotated[
    int,
    BeforeValidator(number_only),
    AfterValidator(_shares),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": LARGEST_QUANTITY}),
]
Percent = Annotated[
    Decimal,
    BeforeValidator(number_only),
    AfterValidator(_percent),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0, "maximum": 10}, {"type": "string", "pattern": r"^\d+(\.\d{1,4})?$"}]}
    ),
]


class Terms(StrictBody):
    """What a paper account begins with."""

    cash: Amount = Field(DEFAULT_CASH, description="Rupees to begin with", examples=[500_000])
    slippage_percent: Percent = Field(
        PaperRules().slippage_percent, description="Lost on every fill, of the price that was seen", examples=[0.02]
    )
    largest_fill: Shares | None = Field(
        None, description="Most shares that one price seen can fill of an order; null: all of them", examples=[None]
    )

    def terms(self) -> PaperTerms:
        return PaperTerms(self.cash, PaperRules(self.slippage_percent, self.largest_fill))


class PaperHoldingAnswer(Answer):
    exchange: str
    symbol: str
    product: Product
    quantity: int
    average_price: Rupees
    realised_pnl: Rupees = Field(description="Before charges, since the account began")
    last_price: Rupees | None = Field(description="Null while no feed knows it")
    open_pnl: Rupees | None


class PaperBooks(Answer):
    """Before charges. `realised_pnl` and `open_pnl` are `value - starting_cash`, to the paisa."""

    broker_id: str
    starting_cash: Rupees
    cash: Rupees
    blocked: Rupees = Field(description="Of the cash, what open purchases tie up")
    realised_pnl: Rupees
    open_pnl: Rupees | None = Field(description="Null while the price of something that is held is not known")
    value: Rupees | None = Field(description="Cash and what is held, at the last prices")
    slippage_percent: Exact
    largest_fill: int | None
    began_at: Instant
    holdings: Sequence[PaperHoldingAnswer]
