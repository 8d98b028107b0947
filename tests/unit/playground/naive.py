"""The same rules once more, price by price and without any cleverness: the judge of the fast engine."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from trading.instruments import Instrument
from trading.plan import Plan
from trading.schedule import RunWindow, window_on
from trading.sessions import ExchangeDay, instant, session_of
from trading.trailing import trailed


@dataclass(frozen=True)
class NaiveBar:
    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True)
class NaiveTrade:
    outcome: str
    bought_at: datetime | None = None
    bought: Decimal | None = None
    sold_at: datetime | None = None
    sold: Decimal | None = None
    has_gap: bool = False


def naive_day(
    plan: Plan, bars: list[NaiveBar], exchange_day: ExchangeDay, *, instrument: Instrument, length: timedelta,
    slippage_bps: Decimal, stale: timedelta,
) -> NaiveTrade:  # fmt: skip
    window = window_on(plan, instrument=instrument, exchange_day=exchange_day)
    session = session_of(instrument, exchange_day)
    day: date = exchange_day.day
    opens, ends = instant(day, session.opens), instant(day, session.continuous_ends)
    bars = [bar for bar in bars if opens <= bar.start < ends]
    if not bars:
        return NaiveTrade("no_data")
    if plan.buy_time < session.opens or window.buy_at >= window.sell_at:
        return NaiveTrade("does_not_fit")
    bought_at: datetime | None = None
    bought = Decimal(0)
    stop = plan.stop_loss
    last_start: datetime | None = None
    has_gap = False
    for bar in bars:
        if bought_at is None:
            if bar.start < window.buy_at:
                continue
            if bar.start >= window.sell_at or bar.start - window.buy_at > stale:
                return NaiveTrade("no_entry_price")
            if why_and_at(plan, stop, bar.open, bar.start, window.sell_at, is_open=True):
                return NaiveTrade("entry_skipped")
            bought_at, bought = bar.start, worse(bar.open, instrument, slippage_bps, buying=True)
        elif last_start is not None:
            has_gap = has_gap or bar.start - last_start - length > stale
        last_start = bar.start
        if is_too_late(bar.start, window, stale):
            return NaiveTrade("no_exit_price")
        for number, price in enumerate(prices_of(bar, window.sell_at)):
            if leaving := why_and_at(plan, stop, price, bar.start, window.sell_at, is_open=number == 0):
                sold = worse(leaving[1], instrument, slippage_bps, buying=False)
                return NaiveTrade(leaving[0], bought_at, bought, bar.start, sold, has_gap)
            stop = stop if plan.trail is None else trailed(stop, trail=plan.trail, highest=price, tick_size=instrument.tick_size)
    return NaiveTrade("no_entry_price" if bought_at is None else "no_exit_price")


def is_too_late(at: datetime, window: RunWindow, stale: timedelta) -> bool:
    return at >= window.sell_at and (at - window.sell_at > stale or at >= window.hand_over_at)


def prices_of(bar: NaiveBar, sell_at: datetime) -> list[Decimal]:
    """At the sell time it is over with the first."""
    return [bar.open] if bar.start >= sell_at else [bar.open, bar.low, bar.high, bar.close]


def why_and_at(
    plan: Plan, stop: Decimal, price: Decimal, at: datetime, sell_at: datetime, *, is_open: bool
) -> tuple[str, Decimal] | None:
    """A bar's later prices are reached by passing everything on the way to them."""
    if at <= sell_at and price <= stop:
        return "stop_loss", price if is_open else stop
    if at <= sell_at and plan.target_price is not None and price >= plan.target_price:
        return "target", price if is_open else plan.target_price
    return ("sold_at_time", price) if at >= sell_at else None


def worse(price: Decimal, instrument: Instrument, slippage_bps: Decimal, *, buying: bool) -> Decimal:
    moved = price * (1 + slippage_bps / 10_000) if buying else price * (1 - slippage_bps / 10_000)
    tick = instrument.tick_size
    return max((moved / tick).to_integral_value(ROUND_CEILING if buying else ROUND_FLOOR) * tick, tick)
