"""Kinds of values that many shapes share: text, prices, times of day."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

T = TypeVar("T")

PAISA = Decimal("0.01")
# Beyond any price or quantity an exchange knows; keeps numbers inside what the database holds.
_PERCENT_STEP = Decimal("0.01")
LARGEST_PRICE = Decimal(10_000_000)
LARGEST_QUANTITY = 10_000_000
DEEPEST = 20
_DAY = r"\d{4}-\d{2}-\d{2}"
_UNUSUAL_DIGITS = re.compile(r"\d[eE_]|[^\x00-\x7f]")
_TIME = r"^([01]\d|2[0-3]):[0-5]\d:[0-5]\d$"


def storable(text: str) -> str:
    """Refuse what Postgres cannot hold: NUL, and halves of characters."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise PydanticCustomError("INVALID_TEXT", "holds characters that cannot be stored")
    return text


def _storable_everywhere(value: object, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise PydanticCustomError("INVALID_VALUE", "is nested too deeply")
    if isinstance(value, str):
        storable(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            storable(str(key))
            _storable_everywhere(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _storable_everywhere(inner, depth + 1)


class Body(BaseModel):
    """A request body. Unknown fields are ignored; texts are checked before anything else looks at them."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True, str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _check_texts(cls, values: object) -> object:
        _storable_everywhere(values)
        return values


class StrictBody(Body):
    """For bodies whose misspelt field would silently mean something else, such as selling instead of keeping."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """A response body."""

    model_config = ConfigDict(frozen=True)


class Page(Answer, Generic[T]):
    """One page of a list; `next_cursor` asks for the next one, null is the end."""

    items: Sequence[T]
    next_cursor: str | None = None


def _time_of_day(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        parsed = time.fromisoformat(value) if len(value) == len("00:00:00") else None
    except ValueError:
        parsed = None
    if parsed is None or parsed.isoformat() != value:
        raise PydanticCustomError("INVALID_TIME", "must be HH:MM:SS between 00:00:00 and 23:59:59")
    return parsed


def _only_text(value: object) -> object:
    """A number is no time of day; the validator below would take it for seconds."""
    if not isinstance(value, str | time):
        raise PydanticCustomError("time_type", "must be a text HH:MM:SS")
    return value


def _price(value: Decimal) -> Decimal:
    if not 0 < value <= LARGEST_PRICE:
        raise PydanticCustomError("INVALID_STOP_LOSS", "must be above 0 and below one crore rupees")
    return value


def _target(value: Decimal) -> Decimal:
    if not 0 < value <= LARGEST_PRICE:
        raise PydanticCustomError("INVALID_TARGET_PRICE", "must be above 0 and below one crore rupees")
    return value


def _trailing_rupees(value: Decimal) -> Decimal:
    if not 0 < value <= LARGEST_PRICE:
        raise PydanticCustomError("INVALID_TRAILING_STOP", "must be above 0 and below one crore rupees")
    return value


def _trailing_percent(value: Decimal) -> Decimal:
    if not 0 < value < 100 or value.quantize(_PERCENT_STEP) != value:
        raise PydanticCustomError("INVALID_TRAILING_STOP", "must be above 0 and below 100, with at most two decimals")
    return value


def _quantity(value: int) -> int:
    if not 0 < value <= LARGEST_QUANTITY:
        raise PydanticCustomError("INVALID_QUANTITY", "must be between 1 and one crore")
    return value


def number_only(value: object) -> object:
    """JSON true is no price; text is one in plain digits only, as the document says: what else reads as a number (`1e3`, `1_000`,
    digits of other scripts) is rather a mistake."""
    if isinstance(value, bool):
        raise PydanticCustomError("decimal_type", "must be a number")
    if isinstance(value, str) and _UNUSUAL_DIGITS.search(value):
        raise PydanticCustomError("INVALID_VALUE", "must be written in plain digits, such as 3500.05")
    return value


def _whole_number(value: object) -> object:
    """JSON true and text are none."""
    if isinstance(value, bool | str):
        raise PydanticCustomError("int_type", "must be a whole number")
    return value


def rounded(value: Decimal) -> float:
    """A price as clients get it: a number of at most two decimals."""
    return float(value.quantize(PAISA, ROUND_HALF_EVEN))


_TimeOfDay = Annotated[
    time,
    BeforeValidator(_time_of_day),
    BeforeValidator(_only_text),
    PlainSerializer(lambda value: value.isoformat(timespec="seconds"), return_type=str),
]
TimeOfDay = Annotated[_TimeOfDay, WithJsonSchema({"type": "string", "pattern": _TIME, "examples": ["09:30:00"]})]
# Examples of one body belong together: it sells after it buys.
SellTime = Annotated[_TimeOfDay, WithJsonSchema({"type": "string", "pattern": _TIME, "examples": ["15:00:00"]})]


def _day(value: object) -> object:
    """Text only: a number would be taken for seconds."""
    if isinstance(value, str) and not re.fullmatch(_DAY, value):
        raise PydanticCustomError("date_parsing", "must be YYYY-MM-DD")
    return value


Day = Annotated[date, BeforeValidator(_day), Field(examples=["2026-11-20"])]


# Instants are answered in UTC, whatever zone they were reckoned in.
def dated(value: object) -> object:
    """For instants: a bare number would be taken for seconds since 1970."""
    if isinstance(value, int | float) or (isinstance(value, str) and not re.match(_DAY, value)):
        raise PydanticCustomError("datetime_parsing", "must be a time with its date, such as 2026-08-03T09:15:00+05:30")
    return value


Instant = Annotated[datetime, AfterValidator(lambda value: value.astimezone(UTC))]
_PRICE_SCHEMA = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": r"^\d+(\.\d{1,4})?$"}]}
StopPrice = Annotated[
    Decimal, BeforeValidator(number_only), AfterValidator(_price), WithJsonSchema(_PRICE_SCHEMA | {"examples": [3500]})
]
TargetPrice = Annotated[
    Decimal, BeforeValidator(number_only), AfterValidator(_target), WithJsonSchema(_PRICE_SCHEMA | {"examples": [3800]})
]
TrailingRupees = Annotated[
    Decimal, BeforeValidator(number_only), AfterValidator(_trailing_rupees), WithJsonSchema(_PRICE_SCHEMA | {"examples": [25]})
]
TrailingPercent = Annotated[
    Decimal,
    BeforeValidator(number_only),
    AfterValidator(_trailing_percent),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100, "examples": [1.5]}),
]
Quantity = Annotated[
    int,
    BeforeValidator(_whole_number),
    AfterValidator(_quantity),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": LARGEST_QUANTITY, "examples": [10]}),
]
# Only true and false: 0, 1, "yes" and "off" mean what whoever wrote them thought.
YesNo = Annotated[bool, Strict()]
Count = Annotated[int, BeforeValidator(_whole_number)]
Rupees = Annotated[Decimal, PlainSerializer(rounded, return_type=float), WithJsonSchema({"type": "number", "examples": [3512.5]})]
# Tick sizes have more decimals in some segments and must not be rounded.
Exact = Annotated[Decimal, PlainSerializer(float, return_type=float), WithJsonSchema({"type": "number", "examples": [0.05]})]
Symbol = Annotated[str, AfterValidator(lambda value: value.upper()), Field(min_length=1, max_length=64, examples=["TCS"])]
Exchange = Annotated[str, AfterValidator(lambda value: value.upper()), Field(min_length=1, max_length=12, examples=["NSE"])]
