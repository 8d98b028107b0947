from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.unit.trading.samples import (
    FRIDAY,
    FUTURE,
    MONDAY,
    SATURDAY,
    SHARE,
    SHARE_WITH_DERIVATIVES,
    ListedDays,
    at,
    muhurat,
    regular,
)
from trading.instruments import Instrument, Product
from trading.sessions import (
    ALL_DAY,
    INDIA,
    SEARCH_DAYS,
    ExchangeDay,
    Session,
    UnknownDay,
    day_ends_at,
    instant,
    last_moment,
    session_of,
    trading_date,
    upcoming_days,
)

INSTRUMENTS = st.sampled_from([SHARE, SHARE_WITH_DERIVATIVES, FUTURE])


@pytest.mark.parametrize(
    ("instrument", "session"),
    [
        (SHARE, Session(time(9, 15), time(15, 30), time(15, 30), last_safe_exit=time(15, 20))),
        (SHARE_WITH_DERIVATIVES, Session(time(9, 15), time(15, 15), time(15, 30), last_safe_exit=time(15, 10))),
        (FUTURE, Session(time(9, 15), time(15, 40), time(15, 40), last_safe_exit=time(15, 20))),
    ],
    ids=["share", "share with derivatives", "future"],
)
def test_a_regular_day_by_kind_of_instrument(instrument: Instrument, session: Session) -> None:
    assert session_of(instrument, regular(FRIDAY)) == session


@given(INSTRUMENTS)
def test_muhurat_trading_is_the_same_for_all_and_leaves_ten_minutes(instrument: Instrument) -> None:
    expected = Session(time(18, 0), time(19, 0), time(19, 0), last_safe_exit=time(18, 50))
    assert session_of(instrument, muhurat(FRIDAY)) == expected


@given(INSTRUMENTS)
def test_an_always_open_day_has_none_of_the_rules(instrument: Instrument) -> None:
    always = ExchangeDay(SATURDAY, time(0, 0), time(23, 59, 59), is_always_open=True)
    assert session_of(instrument, always) == ALL_DAY


@given(instrument=INSTRUMENTS, opens=st.times(), closes=st.times(), is_regular=st.booleans())
@example(instrument=SHARE, opens=time(0, 0), closes=time(0, 5), is_regular=False)
def test_the_last_safe_exit_lies_inside_every_session(
    instrument: Instrument, opens: time, closes: time, is_regular: bool
) -> None:
    assume(opens < closes)
    session = session_of(instrument, ExchangeDay(FRIDAY, opens, closes, is_regular=is_regular))
    assert session.opens <= session.last_safe_exit <= session.continuous_ends <= session.closes


def test_a_stock_whose_auction_begins_at_1515_is_sold_before_it() -> None:
    session = session_of(SHARE_WITH_DERIVATIVES, regular(FRIDAY))
    assert session.last_safe_exit < session.continuous_ends < session.closes


@pytest.mark.parametrize(
    ("instrument", "product", "moment"),
    [
        (SHARE, Product.MIS, time(15, 25)),
        (SHARE, Product.CNC, time(15, 30)),
        (SHARE_WITH_DERIVATIVES, Product.MIS, time(15, 15)),
        (SHARE_WITH_DERIVATIVES, Product.CNC, time(15, 30)),
        (FUTURE, Product.MIS, time(15, 25)),
        (FUTURE, Product.NRML, time(15, 40)),
    ],
)
def test_the_last_moment_is_the_brokers_square_off_or_the_sessions_end(
    instrument: Instrument, product: Product, moment: time
) -> None:
    assert last_moment(session_of(instrument, regular(FRIDAY)), product) == moment


@pytest.mark.parametrize("product", list(Product))
def test_a_day_without_rules_has_its_last_moment_at_its_end(product: Product) -> None:
    assert last_moment(ALL_DAY, product) == time(23, 59, 59)


@given(instrument=INSTRUMENTS, product=st.sampled_from(list(Product)), opens=st.times(), closes=st.times())
def test_there_is_time_to_leave_before_the_last_moment(
    instrument: Instrument, product: Product, opens: time, closes: time
) -> None:
    assume(opens < closes)
    session = session_of(instrument, ExchangeDay(FRIDAY, opens, closes, is_regular=False))
    assert session.last_safe_exit <= last_moment(session, product) <= session.closes


def test_a_brokers_day_ends_at_midnight_in_india() -> None:
    assert day_ends_at(FRIDAY) == datetime(2026, 11, 20, 18, 30, tzinfo=UTC)


def test_an_indian_time_is_five_and_a_half_hours_ahead_of_utc() -> None:
    assert instant(FRIDAY, time(9, 20)) == datetime.fromisoformat("2026-11-20T03:50:00+00:00")


@given(st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)))  # noqa: DTZ001 (made aware in the test)
def test_the_trading_date_is_the_date_on_the_wall_in_india(local: datetime) -> None:
    assert trading_date(local.replace(tzinfo=INDIA).astimezone(tz=None)) == local.date()


def test_just_before_midnight_in_india_it_is_still_today() -> None:
    assert trading_date(at(FRIDAY, 23, 59, 59)) == FRIDAY
    assert trading_date(at(FRIDAY, 23, 59, 59) + timedelta(seconds=1)) == SATURDAY


def test_upcoming_days_begin_today_and_skip_closed_ones() -> None:
    calendar = ListedDays({FRIDAY: regular(FRIDAY), SATURDAY: None, date(2026, 11, 22): None, MONDAY: regular(MONDAY)})
    days = upcoming_days(at(FRIDAY, 23), calendar)
    assert [next(days).day, next(days).day] == [FRIDAY, MONDAY]
    with pytest.raises(UnknownDay):
        next(days)


def test_the_search_ends_after_a_month_of_closed_days() -> None:
    closed = {FRIDAY + timedelta(days=offset): None for offset in range(SEARCH_DAYS)}
    assert list(upcoming_days(at(FRIDAY, 9), ListedDays(closed))) == []


def test_a_special_session_of_a_few_minutes_is_left_as_it_begins() -> None:
    short = replace(muhurat(FRIDAY), closes=time(18, 5))
    assert session_of(SHARE, short).last_safe_exit == time(18, 0)
