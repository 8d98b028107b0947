"""Sessions and trading days: when an instrument trades, and on which day a plan runs next.

Since 3 August 2026 stocks that have derivatives stop continuous trading at 15:15 (closing auction); other shares trade to 15:30,
derivatives to 15:40. Brokers square intraday positions off by themselves from about 15:15, so exits are planned before that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from trading.instruments import Instrument, Product, Segment

INDIA = ZoneInfo("Asia/Kolkata")

REGULAR_OPEN = time(9, 15)
REGULAR_CLOSE = time(15, 30)
DERIVATIVES_CLOSE = time(15, 40)
CONTINUOUS_END_WITH_DERIVATIVES = time(15, 15)
LAST_SAFE_EXIT_WITH_DERIVATIVES = time(15, 10)
LAST_SAFE_EXIT = time(15, 20)
# From about here the broker closes intraday positions itself: an order of ours would race with its own.
LEFT_TO_THE_BROKER = timedelta(minutes=5)
# Special sessions are short and have no square-off time of their own.
LEFT_OF_A_SPECIAL_SESSION = timedelta(minutes=10)
# How far ahead the next trading day is looked for; the longest closure in the exchange's history is far shorter.
SEARCH_DAYS = 30


@dataclass(frozen=True, slots=True)
class Session:
    """One instrument's day. Continuous trading ends at `continuous_ends`; nothing is planned after `last_safe_exit`."""

    opens: time
    continuous_ends: time
    closes: time
    last_safe_exit: time


ALL_DAY = Session(opens=time(0, 0), continuous_ends=time(23, 59, 59), closes=time(23, 59, 59), last_safe_exit=time(23, 59, 59))


@dataclass(frozen=True, slots=True)
class ExchangeDay:
    """What the exchange's calendar says of one day. `is_regular` is False for special sessions such as muhurat trading."""

    day: date
    opens: time
    closes: time
    is_regular: bool = True
    is_always_open: bool = False


class TradingCalendar(Protocol):
    """Which days trade. A day the calendar does not know raises `UnknownDay`: it is never guessed."""

    def day(self, day: date) -> ExchangeDay | None:
        """The day's session, or None when the exchange is closed."""

    def typical_day(self) -> ExchangeDay:
        """A regular day: what plans are checked against when they are created."""


class UnknownDay(Exception):
    """The calendar ends before this day; an override file extends it."""


class NoTradingDay(Exception):
    """No trading day was found within the search window."""


def session_of(instrument: Instrument, exchange_day: ExchangeDay) -> Session:
    """The instrument's session on that day."""
    if exchange_day.is_always_open:
        return ALL_DAY
    if not exchange_day.is_regular:
        opens, closes = (datetime.combine(exchange_day.day, end) for end in (exchange_day.opens, exchange_day.closes))
        last_safe_exit = max(closes - LEFT_OF_A_SPECIAL_SESSION, opens).time()
        return Session(exchange_day.opens, exchange_day.closes, exchange_day.closes, last_safe_exit=last_safe_exit)
    if instrument.segment is Segment.DERIVATIVES:
        return Session(REGULAR_OPEN, DERIVATIVES_CLOSE, DERIVATIVES_CLOSE, last_safe_exit=LAST_SAFE_EXIT)
    if instrument.has_derivatives:
        return Session(
            REGULAR_OPEN, CONTINUOUS_END_WITH_DERIVATIVES, REGULAR_CLOSE, last_safe_exit=LAST_SAFE_EXIT_WITH_DERIVATIVES
        )
    return Session(REGULAR_OPEN, REGULAR_CLOSE, REGULAR_CLOSE, last_safe_exit=LAST_SAFE_EXIT)


def last_moment(session: Session, product: Product) -> time:
    """From then on nothing of ours may be sent any more: intraday the broker squares off itself, else the session is over."""
    if product is not Product.MIS or session is ALL_DAY:
        return session.closes
    after_safe_exit = datetime.combine(date.min, session.last_safe_exit) + LEFT_TO_THE_BROKER
    return min(after_safe_exit.time(), session.closes)


def day_ends_at(trading_day: date) -> datetime:
    """Midnight in India: a broker's book lists the orders of its own day only."""
    return instant(trading_day + timedelta(days=1), time(0, 0))


def instant(day: date, local: time) -> datetime:
    """The aware instant of an Indian time of day."""
    return datetime.combine(day, local, tzinfo=INDIA)


def trading_date(now: datetime) -> date:
    """The exchange's date at that instant."""
    return now.astimezone(INDIA).date()


def upcoming_days(now: datetime, calendar: TradingCalendar) -> Iterator[ExchangeDay]:
    """Trading days from today on, today included."""
    today = trading_date(now)
    for offset in range(SEARCH_DAYS):
        exchange_day = calendar.day(today + timedelta(days=offset))
        if exchange_day is not None:
            yield exchange_day
