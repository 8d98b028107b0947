"""SmartAPI's fields: the same number comes as a number in one row and as text in the next. Missing is still never zero."""

from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

from brokers.fields import Row
from trading.ports.broker import UnreadableAnswer
from trading.sessions import INDIA

# `20-Oct-2020 13:10:59`, and what else has been seen.
_INSTANTS = ("%d-%b-%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d-%b-%y %H:%M:%S", "%d-%m-%Y %H:%M:%S")
_TIMES = ("%H:%M:%S", "%H:%M:%S.%f")


def decimal(source: Row, key: str) -> Decimal:
    value = source.get(key)
    if isinstance(value, str):
        return _from_text(value, key)
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return Decimal(value)
    raise UnreadableAnswer(f"{key} is missing or not a number")


def _from_text(value: str, key: str) -> Decimal:
    try:
        number = Decimal(value.replace(",", "").strip())
    except InvalidOperation:
        raise UnreadableAnswer(f"{key} is not a number") from None
    if not number.is_finite():
        raise UnreadableAnswer(f"{key} is not a number")
    return number


def whole(source: Row, key: str) -> int:
    number = decimal(source, key)
    if number != number.to_integral_value():
        raise UnreadableAnswer(f"{key} is not a whole number")
    return int(number)


def is_given(source: Row, key: str) -> bool:
    """Whether the field says anything at all: null and empty text do not."""
    return source.get(key) not in (None, "")


def name(source: Row, key: str) -> str:
    """Text that names something. Ids have been seen as bare numbers."""
    value = source.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise UnreadableAnswer(f"{key} is missing or not text")
    return value.strip()


def optional_name(source: Row, key: str) -> str | None:
    """None when the field is absent, null or empty."""
    return name(source, key) if is_given(source, key) else None


def optional_instant(source: Row, key: str) -> datetime | None:
    """Indian time in one of SmartAPI's forms, as aware UTC. None when the field is absent, null or empty."""
    if not is_given(source, key):
        return None
    value = name(source, key)
    for form in _INSTANTS:
        found = _parsed(value, form)
        if found is not None:
            return found.astimezone(UTC)
    raise UnreadableAnswer(f"{key} is not a time")


def time_of_day(source: Row, key: str, *, on: date) -> datetime:
    """`13:27:53`, Indian time on that day; a full instant is taken as it stands. Aware UTC."""
    value = name(source, key)
    for form in _TIMES:
        found = _parsed(value, form)
        if found is not None:
            return datetime.combine(on, time(found.hour, found.minute, found.second), INDIA).astimezone(UTC)
    instant = optional_instant(source, key)
    if instant is None:
        raise UnreadableAnswer(f"{key} is missing")
    return instant


def _parsed(value: str, form: str) -> datetime | None:
    """None: not of that form, so the next is tried; when none fits the callers raise."""
    try:
        return datetime.strptime(value, form).replace(tzinfo=INDIA)
    except ValueError:
        return None
