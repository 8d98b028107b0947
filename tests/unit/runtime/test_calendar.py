import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from runtime.calendar import AlwaysOpen, BombayCalendar, make_calendar, read_overrides
from runtime.settings import Settings
from trading.sessions import REGULAR_CLOSE, REGULAR_OPEN, ExchangeDay, UnknownDay, upcoming_days

FRIDAY = date(2025, 11, 21)
SATURDAY = date(2025, 11, 22)
CHRISTMAS = date(2025, 12, 25)


def settings(**changes: str) -> Settings:
    return Settings(_env_file=None, **changes)  # type: ignore[arg-type]


def write(folder: Path, content: str) -> str:
    path = folder / "calendar.json"
    path.write_text(content, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def bombay() -> BombayCalendar:
    return BombayCalendar()


# --- the exchange's own -----------------------------------------------------------------------------------------------


def test_a_weekday_is_regular(bombay: BombayCalendar) -> None:
    assert bombay.day(FRIDAY) == ExchangeDay(FRIDAY, REGULAR_OPEN, REGULAR_CLOSE)


@pytest.mark.parametrize("closed", [SATURDAY, CHRISTMAS], ids=["weekend", "holiday"])
def test_a_closed_day_is_none(bombay: BombayCalendar, closed: date) -> None:
    assert bombay.day(closed) is None


def test_a_day_after_the_calendars_end_is_unknown_and_says_what_helps(bombay: BombayCalendar) -> None:
    assert bombay.day(bombay.known_until) is not None
    with pytest.raises(UnknownDay, match="CALENDAR_OVERRIDES"):
        bombay.day(bombay.known_until + timedelta(days=1))


def test_a_typical_day_is_a_regular_one(bombay: BombayCalendar) -> None:
    assert bombay.typical_day().is_regular
    assert not bombay.typical_day().is_always_open


# --- overrides --------------------------------------------------------------------------------------------------------


def test_an_override_opens_an_evening_on_a_holiday_and_closes_a_weekday(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps({"2025-12-25": {"opens": "18:00", "closes": "19:00"}, "2025-11-21": None}))
    calendar = BombayCalendar(read_overrides(path))
    assert calendar.day(CHRISTMAS) == ExchangeDay(CHRISTMAS, time(18), time(19), is_regular=False)
    assert calendar.day(FRIDAY) is None
    assert calendar.day(SATURDAY) is None


def test_an_override_with_the_usual_hours_is_a_regular_day(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps({"2025-11-22": {"opens": "09:15", "closes": "15:30"}}))
    assert BombayCalendar(read_overrides(path)).day(SATURDAY) == ExchangeDay(SATURDAY, REGULAR_OPEN, REGULAR_CLOSE)


def test_overrides_extend_the_calendar_day_by_day() -> None:
    end = BombayCalendar().known_until
    first, second = end + timedelta(days=1), end + timedelta(days=2)
    calendar = BombayCalendar({first: None, second: ExchangeDay(second, REGULAR_OPEN, REGULAR_CLOSE)})
    assert calendar.known_until == second
    morning = datetime.combine(first, time(4), tzinfo=UTC)
    days = upcoming_days(morning, calendar)
    assert next(days).day == second
    with pytest.raises(UnknownDay):
        next(days)


def test_one_evening_far_ahead_does_not_make_the_days_before_it_known() -> None:
    end = BombayCalendar().known_until
    far = end + timedelta(days=90)
    calendar = BombayCalendar({far: ExchangeDay(far, time(18), time(19), is_regular=False)})
    assert calendar.known_until == end
    assert calendar.day(far) is not None


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"tomorrow": null}',
        '{"2025-12-25": {"opens": "18:00"}}',
        '{"2025-12-25": {"opens": "late", "closes": "19:00"}}',
        '{"2025-12-25": {"opens": "19:00", "closes": "18:00"}}',
        '{"2025-12-25": {"opens": "18:00", "closes": "18:00"}}',
        '{"2025-12-25": "closed"}',
        '{"2025-12-25": {"opens": 18, "closes": 19}}',
    ],
)
def test_a_calendar_is_never_half_read(tmp_path: Path, content: str) -> None:
    with pytest.raises(ValueError, match=r"calendar\.json"):
        read_overrides(write(tmp_path, content))


# --- choosing one -----------------------------------------------------------------------------------------------------


def test_always_open_trades_every_day_from_midnight_to_midnight() -> None:
    calendar = AlwaysOpen()
    for day in (FRIDAY, SATURDAY, CHRISTMAS, date(2099, 1, 1)):
        assert calendar.day(day) == ExchangeDay(day, time(0), time(23, 59, 59), is_always_open=True)
    assert calendar.typical_day().is_always_open


def test_the_setting_chooses(tmp_path: Path) -> None:
    path = write(tmp_path, '{"2025-11-21": null}')
    assert isinstance(make_calendar(settings(market_calendar="always_open")), AlwaysOpen)
    plain = make_calendar(settings(market_calendar="XBOM"))
    assert isinstance(plain, BombayCalendar)
    assert plain.day(FRIDAY) is not None
    assert make_calendar(settings(market_calendar="XBOM", calendar_overrides=path)).day(FRIDAY) is None
