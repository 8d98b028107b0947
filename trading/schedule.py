"""When a plan runs: its day, its instants, and what to do when the platform wakes too late."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import Enum

from trading.instruments import Instrument
from trading.plan import Plan, effective_sell_time
from trading.sessions import ExchangeDay, NoTradingDay, TradingCalendar, instant, last_moment, session_of, upcoming_days


@dataclass(frozen=True, slots=True)
class RunWindow:
    """One day's instants of a plan, aware. At `hand_over_at` what is still open is handed to a person."""

    trading_day: date
    buy_at: datetime
    sell_at: datetime
    hand_over_at: datetime


class NotNow(Exception):
    """The plan cannot be started at this moment; the message says why."""


def window_on(plan: Plan, *, instrument: Instrument, exchange_day: ExchangeDay) -> RunWindow:
    """The plan's instants on that day; the sell time is advanced to the last safe moment."""
    session = session_of(instrument, exchange_day)
    day = exchange_day.day
    return RunWindow(
        day,
        buy_at=instant(day, plan.buy_time),
        sell_at=instant(day, effective_sell_time(plan, session)),
        hand_over_at=instant(day, last_moment(session, plan.product)),
    )


def next_window(plan: Plan, *, instrument: Instrument, calendar: TradingCalendar, now: datetime) -> RunWindow:
    """The first day whose buy time is still ahead. Raises NoTradingDay when the calendar shows none."""
    for exchange_day in upcoming_days(now, calendar):
        window = window_on(plan, instrument=instrument, exchange_day=exchange_day)
        session = session_of(instrument, exchange_day)
        fits = session.opens <= plan.buy_time and window.buy_at < window.sell_at
        if fits and now <= window.buy_at:
            return window
    raise NoTradingDay(f"no trading day found for {plan.instrument} in the coming weeks")


def window_now(plan: Plan, *, instrument: Instrument, calendar: TradingCalendar, now: datetime) -> RunWindow:
    """Buy at once, sell at today's sell time. Raises NotNow outside the session or when the sell time has passed."""
    today = next(iter(upcoming_days(now, calendar)), None)
    window = window_on(plan, instrument=instrument, exchange_day=today) if today else None
    if today is None or window is None or now < instant(today.day, session_of(instrument, today).opens):
        raise NotNow("the market is closed now")
    if now >= instant(today.day, session_of(instrument, today).continuous_ends):
        raise NotNow("continuous trading has ended for today")
    if now >= window.sell_at:
        raise NotNow(f"the sell time {plan.sell_time} of today has passed")
    return replace(window, buy_at=now)


class EntryTiming(str, Enum):
    ON_TIME = "on_time"
    LATE = "late"
    MISSED = "missed"


def entry_timing(
    *, now: datetime, buy_at: datetime, sell_at: datetime, max_lateness_seconds: int | None, grace: timedelta
) -> EntryTiming:
    """A trigger that was missed executes at once if it is still before the sell time and within the plan's lateness."""
    lateness = now - buy_at
    if now >= sell_at:
        return EntryTiming.MISSED
    if lateness <= grace:
        return EntryTiming.ON_TIME
    if max_lateness_seconds is not None and lateness > timedelta(seconds=max_lateness_seconds):
        return EntryTiming.MISSED
    return EntryTiming.LATE
