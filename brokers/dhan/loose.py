"""Fields of Dhan's JSON, read generously: its documentation, its client and its servers differ in whether a number is text.

Generous about the form, never about the meaning: what is missing or is no number raises UnreadableAnswer and is never zero.
"""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from brokers.fields import Row
from trading.ports.broker import UnreadableAnswer
from trading.sessions import INDIA

# Dhan writes "0001-01-01 00:00:00" for never.
_FIRST_REAL_YEAR = 2000
_NOTHING = (None, "", "NA", "null")


def is_missing(source: Row, key: str) -> bool:
    """Absent, null or empty."""
    return source.get(key) in _NOTHING


def word(source: Row, key: str) -> str:
    """Text; an id may be a number."""
    value = source.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise UnreadableAnswer(f"{key} is missing or not text")
    return value.strip()


def optional_word(source: Row, key: str) -> str | None:
    return None if is_missing(source, key) else word(source, key)


def number(source: Row, key: str) -> Decimal:
    value = source.get(key)
    if isinstance(value, str):
        try:
            value = Decimal(value.strip())
        except InvalidOperation:
            raise UnreadableAnswer(f"{key} is not a number") from None
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if not isinstance(value, Decimal) or not value.is_finite():
        raise UnreadableAnswer(f"{key} is missing or not a number")
    return value


def number_or_zero(source: Row, key: str) -> Decimal:
    """For prices that are nothing where there is nothing: a market order's limit, the average of no trades."""
    return Decimal(0) if is_missing(source, key) else number(source, key)


def count(source: Row, key: str) -> int:
    """A whole number, however it is written: 5, "5", 5.0."""
    value = number(source, key)
    if value != value.to_integral_value():
        raise UnreadableAnswer(f"{key} is not a whole number")
    return int(value)


def optional_moment(source: Row, key: str) -> datetime | None:
    """`YYYY-MM-DD HH:MM:SS`, with or without a `T` and a fraction, Indian time, as aware UTC. None: never, or not a time."""
    if is_missing(source, key):
        return None
    try:
        local = datetime.fromisoformat(word(source, key))
    except ValueError:
        return None
    if local.year < _FIRST_REAL_YEAR:
        return None
    return (local if local.tzinfo else local.replace(tzinfo=INDIA)).astimezone(UTC)


def first_moment(source: Row, *keys: str) -> datetime | None:
    """The first of these fields that holds a time."""
    return next((moment for key in keys if (moment := optional_moment(source, key)) is not None), None)
