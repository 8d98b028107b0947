"""Trading calendars: the exchange's own (XBOM, with an override file), and one that never closes for demos and tests."""

import json
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any

from runtime.settings import Settings
from trading.sessions import REGULAR_CLOSE, REGULAR_OPEN, ExchangeDay, TradingCalendar, UnknownDay

_TYPICAL = date(2026, 1, 5)


class AlwaysOpen:
    """Every day, all day. The default while no configured broker is live."""

    def day(self, day: date) -> ExchangeDay | None:
        return ExchangeDay(day, time(0, 0), time(23, 59, 59), is_always_open=True)

    def typical_day(self) -> ExchangeDay:
        return ExchangeDay(_TYPICAL, time(0, 0), time(23, 59, 59), is_always_open=True)

    @property
    def known_until(self) -> date:
        return date.max


class BombayCalendar:
    """XBOM sessions (NSE and BSE share holidays), overridden day by day by a file.

    The override file is JSON: `{"2026-11-08": {"opens": "18:00", "closes": "19:00"}, "2026-12-25": null}`; null closes the day.
    """

    def __init__(self, overrides: dict[date, ExchangeDay | None] | None = None) -> None:
        # Imported here: it brings pandas, a quarter of a worker's start that only the exchange's own calendar needs.
        import exchange_calendars

        self._calendar: Any = exchange_calendars.get_calendar("XBOM")
        self._overrides = overrides or {}
        self._last: date = self._calendar.last_session.date()

    @property
    def known_until(self) -> date:
        """The last day up to which this calendar can tell every day; readiness warns when it comes near."""
        last = self._last
        while last + timedelta(days=1) in self._overrides:
            last += timedelta(days=1)
        return last

    def day(self, day: date) -> ExchangeDay | None:
        if day in self._overrides:
            return self._overrides[day]
        if day > self._last:
            raise UnknownDay(f"the trading calendar ends on {self._last}; extend it with CALENDAR_OVERRIDES")
        if not self._calendar.is_session(day.isoformat()):
            return None
        return ExchangeDay(day, REGULAR_OPEN, REGULAR_CLOSE)

    def typical_day(self) -> ExchangeDay:
        return ExchangeDay(_TYPICAL, REGULAR_OPEN, REGULAR_CLOSE)


def read_overrides(path: str) -> dict[date, ExchangeDay | None]:
    """Raises ValueError naming what could not be read; a calendar is never half read."""
    try:
        listed = json.loads(Path(path).read_text(encoding="utf-8")).items()
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path} is not a JSON object of days: {error}") from error
    return dict(_override(path, text, session) for text, session in listed)


def _override(path: str, text: str, session: Any) -> tuple[date, ExchangeDay | None]:
    try:
        day = date.fromisoformat(text)
        if session is None:
            return day, None
        opens, closes = time.fromisoformat(session["opens"]), time.fromisoformat(session["closes"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: cannot read {text!r}: {session!r} ({error})") from error
    if opens >= closes:
        raise ValueError(f"{path}: {text} opens at {opens}, which is not before {closes}")
    return day, ExchangeDay(day, opens, closes, is_regular=(opens, closes) == (REGULAR_OPEN, REGULAR_CLOSE))


def make_calendar(settings: Settings) -> TradingCalendar:
    if settings.calendar_name == "always_open":
        return AlwaysOpen()
    return BombayCalendar(read_overrides(settings.calendar_overrides) if settings.calendar_overrides else None)


class ExchangeCalendar:
    """The exchange's own days, whatever the platform trades by; made at the first question, because most processes never ask."""

    def __init__(self, settings: Settings) -> None:
        self._overrides = settings.calendar_overrides
        self._made: BombayCalendar | None = None

    def day(self, day: date) -> ExchangeDay | None:
        """Raises UnknownDay."""
        if self._made is None:
            self._made = BombayCalendar(read_overrides(self._overrides) if self._overrides else None)
        return self._made.day(day)

    def typical_day(self) -> ExchangeDay:
        return ExchangeDay(_TYPICAL, REGULAR_OPEN, REGULAR_CLOSE)
