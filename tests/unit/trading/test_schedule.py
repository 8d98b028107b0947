from dataclasses import replace
from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trading.samples import (
    FRIDAY,
    MONDAY,
    SATURDAY,
    SHARE,
    SHARE_WITH_DERIVATIVES,
    USUAL_PLAN,
    ListedDays,
    at,
    muhurat,
    regular,
)
from trading.schedule import EntryTiming, NotNow, entry_timing, next_window, window_now, window_on
from trading.sessions import ExchangeDay, NoTradingDay, UnknownDay, instant, session_of, trading_date

SUNDAY = date(2026, 11, 22)
WEEKEND = ListedDays({FRIDAY: regular(FRIDAY), SATURDAY: None, SUNDAY: None, MONDAY: regular(MONDAY)})
MOMENTS = st.datetimes(datetime(2026, 11, 1), datetime(2026, 11, 20)).map(lambda naive: at(naive.date(), naive.hour))  # noqa: DTZ001


@st.composite
def calendars(draw: st.DrawFn) -> ListedDays:
    """Two months in which every day is drawn: regular, closed, or an evening session."""
    first = date(2026, 11, 1)
    days: dict[date, ExchangeDay | None] = {}
    for offset in range(60):
        day = first + timedelta(days=offset)
        days[day] = draw(st.sampled_from([regular(day), regular(day), None, muhurat(day)]))
    return ListedDays(days)


# --- the next window --------------------------------------------------------------------------------------------------


@given(calendar=calendars(), now=MOMENTS, buy_time=st.times(time(9, 15), time(15, 0)))
def test_the_next_window_is_ahead_of_us_on_the_first_day_that_fits(calendar: ListedDays, now: datetime, buy_time: time) -> None:
    plan = replace(USUAL_PLAN, buy_time=buy_time)
    try:
        window = next_window(plan, instrument=SHARE, calendar=calendar, now=now)
    except NoTradingDay:
        return
    assert now <= window.buy_at < window.sell_at
    today = trading_date(now)
    for offset in range((window.trading_day - today).days):
        passed = calendar.day(today + timedelta(days=offset))
        assert passed is None or not passed.is_regular or window_on(plan, instrument=SHARE, exchange_day=passed).buy_at < now


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (at(FRIDAY, 0), FRIDAY),
        (at(FRIDAY, 9, 20), FRIDAY),
        (at(FRIDAY, 9, 20, 1), MONDAY),
        (at(SATURDAY, 9, 0), MONDAY),
    ],
    ids=["in the night before", "at the very second", "a second late", "on a weekend"],
)
def test_a_plan_runs_on_the_next_day_whose_buy_time_is_ahead(now: datetime, day: date) -> None:
    assert next_window(USUAL_PLAN, instrument=SHARE, calendar=WEEKEND, now=now).trading_day == day


def test_the_window_holds_the_advanced_sell_time() -> None:
    window = next_window(USUAL_PLAN, instrument=SHARE_WITH_DERIVATIVES, calendar=WEEKEND, now=at(FRIDAY, 8))
    assert (window.buy_at, window.sell_at) == (at(FRIDAY, 9, 20), at(FRIDAY, 15, 10))


def test_a_day_the_calendar_does_not_know_is_never_guessed() -> None:
    with pytest.raises(UnknownDay):
        next_window(USUAL_PLAN, instrument=SHARE, calendar=ListedDays({FRIDAY: None}), now=at(FRIDAY, 8))


def test_a_known_day_is_found_although_later_ones_are_unknown() -> None:
    known = ListedDays({FRIDAY: regular(FRIDAY)})
    assert next_window(USUAL_PLAN, instrument=SHARE, calendar=known, now=at(FRIDAY, 8)).trading_day == FRIDAY


def test_an_evening_session_is_passed_over_by_a_day_plan() -> None:
    calendar = ListedDays({FRIDAY: muhurat(FRIDAY), SATURDAY: None, SUNDAY: None, MONDAY: regular(MONDAY)})
    assert next_window(USUAL_PLAN, instrument=SHARE, calendar=calendar, now=at(FRIDAY, 8)).trading_day == MONDAY


def test_an_evening_plan_runs_in_the_evening_session() -> None:
    plan = replace(USUAL_PLAN, buy_time=time(18, 10), sell_time=time(19, 0))
    window = next_window(plan, instrument=SHARE, calendar=ListedDays({FRIDAY: muhurat(FRIDAY)}), now=at(FRIDAY, 8))
    assert (window.buy_at, window.sell_at) == (at(FRIDAY, 18, 10), at(FRIDAY, 18, 50))


def test_a_day_whose_last_safe_exit_is_before_the_buy_time_is_passed_over() -> None:
    plan = replace(USUAL_PLAN, buy_time=time(18, 50), sell_time=time(19, 0))
    longer = ExchangeDay(SATURDAY, time(18, 0), time(19, 15), is_regular=False)
    calendar = ListedDays({FRIDAY: muhurat(FRIDAY), SATURDAY: longer})
    assert next_window(plan, instrument=SHARE, calendar=calendar, now=at(FRIDAY, 8)).trading_day == SATURDAY


def test_a_month_without_trading_is_said_and_not_searched_for_ever() -> None:
    closed = ListedDays({FRIDAY + timedelta(days=offset): None for offset in range(40)})
    with pytest.raises(NoTradingDay, match="NSE:TCS"):
        next_window(USUAL_PLAN, instrument=SHARE, calendar=closed, now=at(FRIDAY, 8))


# --- starting now -----------------------------------------------------------------------------------------------------


def test_starting_now_buys_at_once_and_sells_at_todays_sell_time() -> None:
    now = at(FRIDAY, 11, 30)
    window = window_now(USUAL_PLAN, instrument=SHARE, calendar=WEEKEND, now=now)
    assert (window.trading_day, window.buy_at, window.sell_at) == (FRIDAY, now, at(FRIDAY, 15, 20))


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (at(FRIDAY, 9, 14, 59), "the market is closed now"),
        (at(SATURDAY, 11), "the market is closed now"),
        (at(FRIDAY, 15, 30), "continuous trading has ended"),
        (at(FRIDAY, 23), "continuous trading has ended"),
        (at(FRIDAY, 15, 20), "the sell time"),
    ],
    ids=["before the open", "on a weekend", "at the close", "in the evening", "after the last safe exit"],
)
def test_starting_now_is_refused_with_the_reason(now: datetime, why: str) -> None:
    with pytest.raises(NotNow, match=why):
        window_now(USUAL_PLAN, instrument=SHARE, calendar=WEEKEND, now=now)


def test_starting_now_after_the_plans_own_sell_time_is_refused() -> None:
    with pytest.raises(NotNow, match="sell time 12:00:00 of today has passed"):
        window_now(replace(USUAL_PLAN, sell_time=time(12)), instrument=SHARE, calendar=WEEKEND, now=at(FRIDAY, 12))


def test_a_stock_with_derivatives_is_not_started_in_its_closing_auction() -> None:
    with pytest.raises(NotNow, match="continuous trading has ended"):
        window_now(USUAL_PLAN, instrument=SHARE_WITH_DERIVATIVES, calendar=WEEKEND, now=at(FRIDAY, 15, 15))


@given(calendar=calendars(), now=MOMENTS)
def test_what_starts_now_starts_inside_todays_session(calendar: ListedDays, now: datetime) -> None:
    try:
        window = window_now(USUAL_PLAN, instrument=SHARE, calendar=calendar, now=now)
    except NotNow:
        return
    exchange_day = calendar.day(window.trading_day)
    assert exchange_day is not None
    session = session_of(SHARE, exchange_day)
    assert instant(window.trading_day, session.opens) <= window.buy_at == now < window.sell_at
    assert now < instant(window.trading_day, session.continuous_ends)


# --- waking late ------------------------------------------------------------------------------------------------------

BUY_AT, SELL_AT, GRACE = at(FRIDAY, 9, 20), at(FRIDAY, 15, 10), timedelta(seconds=1)


def timing(now: datetime, max_lateness_seconds: int | None = None) -> EntryTiming:
    return entry_timing(now=now, buy_at=BUY_AT, sell_at=SELL_AT, max_lateness_seconds=max_lateness_seconds, grace=GRACE)


@pytest.mark.parametrize(
    ("now", "max_lateness_seconds", "expected"),
    [
        (BUY_AT - timedelta(hours=9), None, EntryTiming.ON_TIME),
        (BUY_AT, 0, EntryTiming.ON_TIME),
        (BUY_AT + GRACE, 0, EntryTiming.ON_TIME),
        (BUY_AT + timedelta(seconds=2), 0, EntryTiming.MISSED),
        (BUY_AT + timedelta(seconds=60), 60, EntryTiming.LATE),
        (BUY_AT + timedelta(seconds=60, microseconds=1), 60, EntryTiming.MISSED),
        (BUY_AT + timedelta(hours=5), None, EntryTiming.LATE),
        (SELL_AT - timedelta(microseconds=1), None, EntryTiming.LATE),
        (SELL_AT, None, EntryTiming.MISSED),
        (SELL_AT + timedelta(hours=1), None, EntryTiming.MISSED),
    ],
)
def test_a_missed_trigger_runs_late_or_not_at_all(now: datetime, max_lateness_seconds: int | None, expected: EntryTiming) -> None:
    assert timing(now, max_lateness_seconds) is expected


@given(st.integers(0, 30_000), st.integers(0, 30_000), st.none() | st.integers(0, 30_000))
def test_waking_later_never_makes_it_better(first: int, second: int, limit: int | None) -> None:
    order = list(EntryTiming)
    earlier, later = (timing(BUY_AT + timedelta(seconds=seconds), limit) for seconds in sorted((first, second)))
    assert order.index(earlier) <= order.index(later)
