"""One plan on one day of the past: what would have been bought and sold, by the rules of docs/playground.md.

The instants, the sell time that is advanced, and the reasons are the live platform's own (trading/); only fills are assumed,
and where the data leave a doubt they are assumed against the plan.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum

import numpy as np

from playground.bars import SCALE, Bars, to_milliseconds, to_rupees
from playground.levels import Levels
from playground.setup import Rules, Variant
from trading.bands import round_to_tick
from trading.instruments import Instrument
from trading.runs import END_REASON_OF_EXIT, PAISA, EndReason, ExitReason
from trading.schedule import window_on
from trading.sessions import ExchangeDay, TradingCalendar, UnknownDay, instant, session_of

_MILLION = 1_000_000


class NotJudged(str, Enum):
    """Why a day says nothing about a plan. Such a day counts neither as a profit nor as a loss."""

    NO_DATA = "no_data"
    NO_ENTRY_PRICE = "no_entry_price"
    NO_EXIT_PRICE = "no_exit_price"
    NO_PRICE_FOR_STOP = "no_price_for_stop"
    CLOSED = "closed"
    UNKNOWN_DAY = "unknown_day"
    DOES_NOT_FIT = "does_not_fit"


@dataclass(frozen=True, slots=True)
class Trade:
    """What came of a day. Prices in ten-thousandths after slippage, instants in milliseconds; `stop` is where it stood before the
    purchase, `sold_ms` the start of the bar the sale fell into. Exactly one of `end_reason` and `not_judged` is set."""

    variant: int
    day: date
    end_reason: EndReason | None = None
    not_judged: NotJudged | None = None
    stop: int = 0
    bought_ms: int = 0
    bought: int = 0
    sold_ms: int = 0
    sold: int = 0
    has_gap: bool = False

    @property
    def is_trade(self) -> bool:
        return self.bought > 0 and self.end_reason is not None

    def gross(self, quantity: int) -> Decimal:
        """Profit in rupees to the paisa, before charges."""
        return (Decimal((self.sold - self.bought) * quantity) / SCALE).quantize(PAISA) if self.is_trade else Decimal(0)


@dataclass(frozen=True, slots=True)
class TradingDay:
    """A day's rows within its session, and its calendar entry. `last_before`: the last price of the data before this day."""

    exchange_day: ExchangeDay
    bars: Bars
    last_before: int | None


def trading_day(
    day: date, bars: Bars, *, last_before: int | None, instrument: Instrument, calendar: TradingCalendar
) -> TradingDay | NotJudged:
    """The day with the rows of continuous trading only: prices of auctions and of the night are nobody's to trade at."""
    try:
        exchange_day = calendar.day(day)
    except UnknownDay:
        return NotJudged.UNKNOWN_DAY
    if exchange_day is None:
        return NotJudged.CLOSED
    session = session_of(instrument, exchange_day)
    opens, ends = (to_milliseconds(instant(day, end)) for end in (session.opens, session.continuous_ends))
    begin, end = np.searchsorted(bars.start, [opens, ends], "left").tolist()
    if begin == end:
        return NotJudged.NO_DATA
    return TradingDay(exchange_day, bars.cut(begin, end), last_before)


def judge(variant: Variant, day: TradingDay, *, instrument: Instrument, rules: Rules) -> Trade:
    """What this plan would have done on this day."""
    window = window_on(variant.plan, instrument=instrument, exchange_day=day.exchange_day)
    date_of, number = day.exchange_day.day, variant.number
    session = session_of(instrument, day.exchange_day)
    if not session.opens <= variant.plan.buy_time or window.buy_at >= window.sell_at:
        return Trade(number, date_of, not_judged=NotJudged.DOES_NOT_FIT)
    bars = day.bars
    buy_ms, sell_ms, last_ms = (to_milliseconds(moment) for moment in (window.buy_at, window.sell_at, window.hand_over_at))
    stale_ms = rules.stale_after_seconds * 1000
    levels = levels_on(variant, day, buy_ms, instrument)
    if levels is None:
        return Trade(number, date_of, not_judged=NotJudged.NO_PRICE_FOR_STOP)
    stop, tick = levels.stop, levels.tick
    entry, exit_ = np.searchsorted(bars.start, [buy_ms, sell_ms], "left").tolist()
    if entry >= exit_ or bars.start[entry] > buy_ms + stale_ms:
        return Trade(number, date_of, not_judged=NotJudged.NO_ENTRY_PRICE, stop=stop)
    reference = int(bars.open[entry])
    if levels.is_pointless_at(reference):
        return Trade(number, date_of, EndReason.ENTRY_SKIPPED, stop=stop)
    found = _exit(bars, entry, exit_, levels=levels, sell_ms=sell_ms, latest_ms=min(sell_ms + stale_ms, last_ms - 1))
    if found is None:
        return Trade(number, date_of, not_judged=NotJudged.NO_EXIT_PRICE, stop=stop)
    row, price, reason = found
    return Trade(
        number,
        date_of,
        END_REASON_OF_EXIT[reason],
        stop=stop,
        bought_ms=int(bars.start[entry]),
        bought=with_slippage(reference, rules, tick, buying=True),
        sold_ms=int(bars.start[row]),
        sold=with_slippage(price, rules, tick, buying=False),
        has_gap=_has_gap(bars, entry, row, stale_ms),
    )


def levels_on(variant: Variant, day: TradingDay, buy_ms: int, instrument: Instrument) -> Levels | None:
    """The plan's own prices; percentages count from the last price that was known before the buy time. None: there was none."""
    plan, tick = variant.plan, instrument.tick_size
    stop, target = plan.stop_loss, plan.target_price
    if variant.stop_percent is not None or variant.target_percent is not None:
        known = _last_known(day, buy_ms)
        if known is None:
            return None
        if variant.stop_percent is not None:
            stop = max(round_to_tick(known * (100 - variant.stop_percent) / 100, tick, up=False), tick)
        if variant.target_percent is not None:
            target = round_to_tick(known * (100 + variant.target_percent) / 100, tick, up=True)
    return Levels(int(stop * SCALE), None if target is None else int(target * SCALE), plan.trail, int(tick * SCALE))


def _last_known(day: TradingDay, buy_ms: int) -> Decimal | None:
    """Rupees: the last close before the buy time, of the day before if need be."""
    bars = day.bars
    closed = int(np.searchsorted(bars.start + bars.bar_ms, buy_ms, "right"))
    known = int(bars.close[closed - 1]) if closed else day.last_before
    return None if known is None else to_rupees(known)


def _exit(
    bars: Bars, entry: int, exit_: int, *, levels: Levels, sell_ms: int, latest_ms: int
) -> tuple[int, int, ExitReason] | None:
    """Row, price before slippage, and reason. Rows from `entry` up to `exit_` are watched: a bar that spans the sell time too,
    because nobody can tell on which side of it its low was."""
    opened, high, low, close = (column[entry:exit_] for column in (bars.open, bars.high, bars.low, bars.close))
    # Inside a bar the price goes from its open to its low, its high and its close.
    highest = np.maximum.accumulate(high)
    before = np.concatenate((opened[:1], highest[:-1]))
    stop_before, stop_after = levels.stops_after(before), levels.stops_after(highest)
    stop_inside = levels.stops_after(np.maximum(before, opened))
    left = (opened <= stop_before) | (low <= stop_inside) | levels.reached(high) | (close <= stop_after)
    if left.any():
        row = int(left.argmax())
        first = int(opened[row])
        if first <= stop_before[row]:
            return entry + row, first, ExitReason.STOP_LOSS
        if levels.is_reached_by(first):
            return entry + row, first, ExitReason.TARGET
        if low[row] <= stop_inside[row]:
            return entry + row, int(stop_inside[row]), ExitReason.STOP_LOSS
        if levels.target is not None and levels.is_reached_by(int(high[row])):
            return entry + row, levels.target, ExitReason.TARGET
        return entry + row, int(stop_after[row]), ExitReason.STOP_LOSS
    if exit_ == len(bars) or bars.start[exit_] > latest_ms:
        return None
    price = int(bars.open[exit_])
    # In the same instant stop and target beat the sell time, as they do live.
    reason = ExitReason.SELL_TIME
    if int(bars.start[exit_]) == sell_ms:
        if price <= stop_after[-1]:
            reason = ExitReason.STOP_LOSS
        elif levels.is_reached_by(price):
            reason = ExitReason.TARGET
    return exit_, price, reason


def _has_gap(bars: Bars, entry: int, row: int, stale_ms: int) -> bool:
    """Whether for longer than that nothing is known of the price while the shares were held."""
    if row == entry:
        return False
    return bool((np.diff(bars.start[entry : row + 1]) - bars.bar_ms).max() > stale_ms)


def with_slippage(price: int, rules: Rules, tick: int, *, buying: bool) -> int:
    """Worse by the slippage, and then to the next tick that is worse still; a sale brings at least one tick."""
    millionths = rules.slippage_millionths
    if buying:
        return -(-price * (_MILLION + millionths) // (_MILLION * tick)) * tick
    return max(price * (_MILLION - millionths) // (_MILLION * tick) * tick, tick)
