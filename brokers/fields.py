"""Typed access to the fields of a broker's JSON. A missing or mistyped field raises UnreadableAnswer, never turns into zero."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from trading.ports.broker import UnreadableAnswer
from trading.sessions import INDIA

Row = Mapping[str, object]


def row(value: object, what: str) -> Row:
    if not isinstance(value, dict):
        raise UnreadableAnswer(f"{what} is not an object")
    return value


def rows(value: object, what: str) -> list[Row]:
    if not isinstance(value, list):
        raise UnreadableAnswer(f"{what} is not a list")
    return [row(item, what) for item in value]


def text(source: Row, key: str) -> str:
    value = source.get(key)
    if not isinstance(value, str) or not value:
        raise UnreadableAnswer(f"{key} is missing or not text")
    return value


def optional_text(source: Row, key: str) -> str | None:
    """None when the field is absent, null or empty."""
    if source.get(key) in (None, ""):
        return None
    return text(source, key)


def whole(source: Row, key: str) -> int:
    value = source.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UnreadableAnswer(f"{key} is missing or not a whole number")
    return value


def decimal(source: Row, key: str) -> Decimal:
    value = source.get(key)
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    raise UnreadableAnswer(f"{key} is missing or not a number")


def indian_time(source: Row, key: str) -> datetime:
    """`YYYY-MM-DD HH:MM:SS` without an offset, Indian time, as aware UTC."""
    value = text(source, key)
    try:
        local = datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=INDIA)
    except ValueError:
        raise UnreadableAnswer(f"{key} is not a time") from None
    return local.astimezone(UTC)


def optional_indian_time(source: Row, key: str) -> datetime | None:
    return None if optional_text(source, key) is None else indian_time(source, key)
