"""The same rules once more, price by price and without any cleverness: the judge of the fast engine."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from trading.instruments import Instrument
from trading.plan import Plan
from trading.schedule import window_on
from trading.sessions import ExchangeDay, instant, session_of


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
    last_start: datetime | None = None
    has_gap = False
    for bar in bars:
        if bought_at is None:
            if bar.start < window.buy_at:
                continue
            if bar.start >= window.sell_at or bar.start - window.buy_at > stale:
                return NaiveTrade("no_entry_price")
            if bar.open <= plan.stop_loss:
                return NaiveTrade("entry_skipped")
            bought_at, bought = bar.start, worse(bar.open, instrument, slippage_bps, buying=True)
        elif last_start is not None and bar.start - last_start - length > stale:
            has_gap = True
        last_start = bar.start
        if bar.start >= window.sell_at:
            if bar.start - window.sell_at > stale or bar.start >= window.hand_over_at:
                return NaiveTrade("no_exit_price")
            both = bar.start == window.sell_at and bar.open <= plan.stop_loss
            sold = worse(bar.open, instrument, slippage_bps, buying=False)
            return NaiveTrade("stop_loss" if both else "sold_at_time", bought_at, bought, bar.start, sold, has_gap)
        if bar.open <= plan.stop_loss or bar.low <= plan.stop_loss:
            price = bar.open if bar.open <= plan.stop_loss else plan.stop_loss
            sold = worse(price, instrument, slippage_bps, buying=False)
            return NaiveTrade("stop_loss", bought_at, bought, bar.start, sold, has_gap)
    return NaiveTrade("no_entry_price" if bought_at is None else "no_exit_price")


def worse(price: Decimal, instrument: Instrument, slippage_bps: Decimal, *, buying: bool) -> Decimal:
    moved = price * (1 + slippage_bps / 10_000) if buying else price * (1 - slippage_bps / 10_000)
    tick = instrument.tick_size
    return max((moved / tick).to_integral_value(ROUND_CEILING if buying else ROUND_FLOOR) * tick, tick)
