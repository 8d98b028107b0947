"""Plans over many days of the past: every plan on every day, one after the other, nothing carried over."""

from collections.abc import Iterator, Sequence

from playground.bars import Bars
from playground.engine import NotJudged, Trade, judge, trading_day
from playground.setup import Rules, Variant
from trading.instruments import Instrument
from trading.sessions import TradingCalendar


def backtest(
    variants: Sequence[Variant], bars: Bars, *, instrument: Instrument, calendar: TradingCalendar, rules: Rules
) -> Iterator[list[Trade]]:
    """A list for each date of the data, in order: what came of each plan on it."""
    last_before: int | None = None
    for date_of, rows in bars.days():
        day = trading_day(date_of, rows, last_before=last_before, instrument=instrument, calendar=calendar)
        last_before = int(rows.close[-1])
        if isinstance(day, NotJudged):
            yield [Trade(variant.number, date_of, not_judged=day) for variant in variants]
        else:
            yield [judge(variant, day, instrument=instrument, rules=rules) for variant in variants]
