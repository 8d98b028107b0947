"""Numbers in Fyers' JSON, which may arrive as text. Anything else raises UnreadableAnswer, never turns into zero."""

import re
from decimal import Decimal

from trading.ports.broker import UnreadableAnswer

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}(\.0+)?\Z")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?\Z")


def whole(value: object, name: str) -> int:
    """A whole number, also as `5.0` or as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    if isinstance(value, str) and _WHOLE.match(value):
        return int(value.partition(".")[0])
    raise UnreadableAnswer(f"{name} is missing or not a whole number")


def number(value: object, name: str) -> Decimal:
    """An exact number, also as text."""
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and _NUMBER.match(value):
        return Decimal(value)
    raise UnreadableAnswer(f"{name} is missing or not a number")


def number_or_zero(value: object, name: str) -> Decimal:
    """For prices that Fyers leaves out while there is none."""
    return Decimal(0) if value in (None, "") else number(value, name)
