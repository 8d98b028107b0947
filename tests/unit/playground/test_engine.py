"""The fast engine against a naive one, and each rule of docs/playground.md by an example somebody could reckon by hand."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from playground.backtest import backtest
from playground.bars import Bars, bars_of, to_instant, to_milliseconds, to_rupees, to_units
from playground.engine import NotJudged, Trade
from playground.setup import Rules, Variant
from tests.unit.playground.naive import NaiveBar, NaiveTrade, naive_day
from trading.instruments import Instrument, InstrumentId, Product, Segment
from trading.plan import Plan
from trading.runs import EndReason
from trading.sessions import ExchangeDay, UnknownDay, instant
from trading.trailing import Trail

DAY = date(2026, 11, 20)
SHARE = Instrument(InstrumentId("NSE", "TCS"), "TCS", Segment.CASH, Decimal("0.05"))
FUTURES_TOO = replace(SHARE, has_derivatives=True)
PLAN = Plan(SHARE.id, Product.MIS, 10, time(9, 30), time(9, 40), Decimal(95))
EXACT = Rules(slippage_bps=Decimal(0))


class Weekdays:
    """Monday to Friday; the past before 2020 is not known."""

    def day(self, day: date) -> ExchangeDay | None:
        if day.year < 2020:
            raise UnknownDay("before everything")
        return ExchangeDay(day, time(9, 15), time(15, 30)) if day.weekday() < 5 else None

    def typical_day(self) -> ExchangeDay:
        return ExchangeDay(DAY, time(9, 15), time(15, 30))


def minutes(*rows: tuple[str, float, float, float, float], seconds: int = 60, day: date = DAY) -> Bars:
    """Rows of an Indian time of day and four prices."""
    return bars_of(
        seconds,
        [
            (to_milliseconds(instant(day, time.fromisoformat(at))), *(to_units(Decimal(str(p))) for p in prices))
            for at, *prices in rows
        ],
    )


def together(*parts: Bars) -> Bars:
    """One after the other."""
    columns = [np.concatenate(found) for found in zip(*((b.start, b.open, b.high, b.low, b.close) for b in parts), strict=True)]
    return Bars(60, *columns)


def steady(begin: str, end: str, price: float = 100) -> list[tuple[str, float, float, float, float]]:
    first, last = (datetime.fromisoformat(f"2026-11-20T{at}") for at in (begin, end))
    count = int((last - first).total_seconds() // 60)
    return [((first + timedelta(minutes=n)).time().isoformat(), price, price, price, price) for n in range(count)]


def run(
    bars: Bars, plan: Plan = PLAN, *, rules: Rules = EXACT, instrument: Instrument = SHARE, percent: str | None = None
) -> Trade:
    variant = Variant(0, plan, None if percent is None else Decimal(percent))
    days = list(backtest([variant], bars, instrument=instrument, calendar=Weekdays(), rules=rules))
    return days[-1][0]


def sold(trade: Trade) -> tuple[Any, ...]:
    at = to_instant(trade.sold_ms).astimezone(instant(DAY, time(0)).tzinfo).time().isoformat()
    return (trade.end_reason, at, float(to_rupees(trade.bought)), float(to_rupees(trade.sold)))


def test_buys_at_the_open_of_the_first_bar_at_the_buy_time_and_sells_at_that_of_the_sell_time() -> None:
    rows = [*steady("09:15", "09:30"), ("09:30", 101, 120, 96, 110), *steady("09:31", "09:40", 110), ("09:40", 111, 500, 1, 99)]
    assert sold(run(minutes(*rows))) == (EndReason.SOLD_AT_TIME, "09:40:00", 101.0, 111.0)


def test_a_buy_time_inside_a_bar_waits_for_the_next_one() -> None:
    plan = replace(PLAN, buy_time=time(9, 30, 30))
    rows = [("09:30", 101, 101, 1, 101), ("09:31", 103, 103, 103, 103), *steady("09:32", "09:41")]
    trade = run(minutes(*rows), plan)
    assert (to_rupees(trade.bought), trade.end_reason) == (103, EndReason.SOLD_AT_TIME)


def test_a_low_at_the_stop_sells_at_the_stop_also_in_the_bar_of_the_purchase() -> None:
    rows = [("09:30", 101, 200, 95, 150), *steady("09:31", "09:41")]
    assert sold(run(minutes(*rows))) == (EndReason.STOP_LOSS, "09:30:00", 101.0, 95.0)


def test_a_low_one_tick_above_the_stop_holds() -> None:
    rows = [("09:30", 101, 200, 95.05, 150), *steady("09:31", "09:41")]
    assert run(minutes(*rows)).end_reason is EndReason.SOLD_AT_TIME


def test_a_gap_through_the_stop_sells_at_the_open_and_not_at_the_stop() -> None:
    rows = [*steady("09:30", "09:33"), ("09:33", 80, 99, 70, 99), *steady("09:34", "09:41")]
    assert sold(run(minutes(*rows))) == (EndReason.STOP_LOSS, "09:33:00", 100.0, 80.0)


def test_slippage_is_lost_on_both_sides_and_rounded_against_the_plan() -> None:
    rows = [("09:30", 100, 100, 100, 100), *steady("09:31", "09:40"), ("09:40", 110, 110, 110, 110)]
    trade = run(minutes(*rows), rules=Rules(slippage_bps=Decimal("7.5")))
    # 100.075 and 109.9175 on a tick of 5 paise.
    assert (to_rupees(trade.bought), to_rupees(trade.sold)) == (Decimal("100.1"), Decimal("109.9"))
    assert trade.gross(10) == Decimal("98.00")


@pytest.mark.parametrize(("price", "reason"), [(95, EndReason.ENTRY_SKIPPED), (95.05, EndReason.SOLD_AT_TIME)])
def test_nothing_is_bought_at_or_below_the_stop(price: float, reason: EndReason) -> None:
    rows = [("09:30", price, 100, price, 100), *steady("09:31", "09:41")]
    assert run(minutes(*rows)).end_reason is reason


def test_the_stop_beats_the_sell_time_in_the_same_instant_only() -> None:
    at_the_time = run(minutes(*steady("09:30", "09:40"), ("09:40", 90, 90, 90, 90)))
    assert at_the_time.end_reason is EndReason.STOP_LOSS
    a_moment_later = run(minutes(*steady("09:30", "09:40"), ("09:41", 90, 90, 90, 90)))
    assert (a_moment_later.end_reason, to_rupees(a_moment_later.sold)) == (EndReason.SOLD_AT_TIME, 90)


def test_a_bar_that_spans_the_sell_time_is_held_against_the_plan() -> None:
    plan = replace(PLAN, sell_time=time(9, 40, 30))
    rows = [*steady("09:30", "09:40"), ("09:40", 100, 100, 90, 100), ("09:41", 100, 100, 100, 100)]
    assert run(minutes(*rows), plan).end_reason is EndReason.STOP_LOSS


def test_a_price_that_comes_too_late_is_no_price() -> None:
    late = minutes(*steady("09:33", "09:41"))
    assert run(late).not_judged is NotJudged.NO_ENTRY_PRICE
    assert run(late, rules=replace(EXACT, stale_after_seconds=180)).end_reason is EndReason.SOLD_AT_TIME


def test_data_that_end_while_the_shares_are_held_are_no_result() -> None:
    assert run(minutes(*steady("09:30", "09:39"))).not_judged is NotJudged.NO_EXIT_PRICE
    assert run(minutes(*steady("09:30", "09:39"), ("09:43", 100, 100, 100, 100))).not_judged is NotJudged.NO_EXIT_PRICE


def test_a_gap_while_the_shares_are_held_is_told_and_the_stop_is_found_behind_it() -> None:
    rows = [*steady("09:30", "09:32"), ("09:37", 80, 80, 80, 80), *steady("09:38", "09:41")]
    trade = run(minutes(*rows))
    assert (trade.end_reason, to_rupees(trade.sold), trade.has_gap) == (EndReason.STOP_LOSS, 80, True)
    assert not run(minutes(*steady("09:30", "09:41"))).has_gap


def test_prices_outside_continuous_trading_are_nobodys() -> None:
    before = [("09:00", 1, 1, 1, 1), ("09:10", 1, 1, 1, 1)]
    assert run(minutes(*before)).not_judged is NotJudged.NO_DATA
    plan = replace(PLAN, buy_time=time(15, 0), sell_time=time(15, 30))
    rows = [*before, *steady("15:00", "15:30")]
    # The last safe moment: 15:20, and 15:10 for shares that have derivatives.
    assert sold(run(minutes(*rows), plan))[:2] == (EndReason.SOLD_AT_TIME, "15:20:00")
    assert sold(run(minutes(*rows), plan, instrument=FUTURES_TOO))[:2] == (EndReason.SOLD_AT_TIME, "15:10:00")


def test_prices_of_the_closing_auction_are_nobodys_to_sell_at() -> None:
    plan = replace(PLAN, product=Product.CNC, buy_time=time(15, 0), sell_time=time(15, 10))
    rows = [*steady("15:00", "15:10"), ("15:16", 100, 100, 100, 100)]
    patient = replace(EXACT, stale_after_seconds=900)
    assert run(minutes(*rows), plan, rules=patient).end_reason is EndReason.SOLD_AT_TIME
    assert run(minutes(*rows), plan, rules=patient, instrument=FUTURES_TOO).not_judged is NotJudged.NO_EXIT_PRICE


def test_days_that_cannot_be_judged_say_why() -> None:
    sunday, long_ago = date(2026, 11, 22), date(2019, 11, 20)
    assert run(minutes(("09:30", 100, 100, 100, 100), day=sunday)).not_judged is NotJudged.CLOSED
    assert run(minutes(("09:30", 100, 100, 100, 100), day=long_ago)).not_judged is NotJudged.UNKNOWN_DAY
    late = replace(PLAN, buy_time=time(15, 25), sell_time=time(15, 30))
    assert run(minutes(*steady("15:00", "15:30")), late).not_judged is NotJudged.DOES_NOT_FIT


def test_a_stop_in_percent_counts_from_the_last_price_known_before_the_buy_time() -> None:
    rows = [
        ("09:28", 100, 100, 100, 100),
        ("09:29", 200, 200, 200, 102),
        ("09:30", 150, 150, 99, 150),
        *steady("09:31", "09:41", 150),
    ]
    # 3 % below 102 is 98.94, on the tick 98.90; the bar of the purchase itself is not known yet.
    trade = run(minutes(*rows), percent="3")
    assert (to_rupees(trade.stop), trade.end_reason) == (Decimal("98.9"), EndReason.SOLD_AT_TIME)


def test_a_bar_that_has_not_closed_at_the_buy_time_is_not_known() -> None:
    plan = replace(PLAN, buy_time=time(9, 30, 30))
    rows = [("09:29", 100, 100, 100, 100), ("09:30", 100, 100, 100, 50), *steady("09:31", "09:41", 100)]
    assert to_rupees(run(minutes(*rows), plan, percent="10").stop) == 90


def test_a_stop_in_percent_falls_back_on_the_day_before_and_needs_some_price() -> None:
    today = minutes(*steady("09:30", "09:41"))
    assert run(today, percent="5").not_judged is NotJudged.NO_PRICE_FOR_STOP
    yesterday = minutes(("15:29", 80, 80, 80, 80), day=date(2026, 11, 19))
    both = together(yesterday, today)
    assert to_rupees(run(both, percent="5").stop) == 76


TARGET = replace(PLAN, target_price=Decimal(105))
TRAILING = replace(PLAN, trail=Trail(rupees=Decimal(4)))


def test_a_high_at_the_target_sells_at_the_target_and_a_gap_above_it_at_the_open() -> None:
    inside = minutes(*steady("09:30", "09:33"), ("09:33", 100, 105, 99, 103), *steady("09:34", "09:41"))
    assert sold(run(inside, TARGET)) == (EndReason.TARGET, "09:33:00", 100.0, 105.0)
    gap = minutes(*steady("09:30", "09:33"), ("09:33", 110, 110, 90, 103), *steady("09:34", "09:41"))
    assert sold(run(gap, TARGET)) == (EndReason.TARGET, "09:33:00", 100.0, 110.0)


def test_a_bar_that_reaches_the_stop_and_the_target_is_held_against_the_plan() -> None:
    both = minutes(*steady("09:30", "09:33"), ("09:33", 100, 105, 95, 103), *steady("09:34", "09:41"))
    assert sold(run(both, TARGET)) == (EndReason.STOP_LOSS, "09:33:00", 100.0, 95.0)


@pytest.mark.parametrize(("price", "reason"), [(105, EndReason.ENTRY_SKIPPED), (104.95, EndReason.SOLD_AT_TIME)])
def test_nothing_is_bought_at_or_above_the_target(price: float, reason: EndReason) -> None:
    assert run(minutes(("09:30", price, price, price, price), *steady("09:31", "09:41")), TARGET).end_reason is reason


def test_the_target_beats_the_sell_time_in_the_same_instant_only() -> None:
    at_the_time = run(minutes(*steady("09:30", "09:40"), ("09:40", 106, 106, 106, 106)), TARGET)
    assert (at_the_time.end_reason, to_rupees(at_the_time.sold)) == (EndReason.TARGET, 106)
    assert run(minutes(*steady("09:30", "09:40"), ("09:41", 106, 106, 106, 106)), TARGET).end_reason is EndReason.SOLD_AT_TIME


def test_a_target_in_percent_counts_from_the_last_price_known_before_the_buy_time() -> None:
    rows = [("09:29", 200, 200, 200, 101), *steady("09:30", "09:33"), ("09:33", 100, 103.05, 100, 100), *steady("09:34", "09:41")]
    variant = Variant(0, PLAN, target_percent=Decimal(2))
    days = list(backtest([variant], minutes(*rows), instrument=SHARE, calendar=Weekdays(), rules=EXACT))
    # 2 % above 101 is 103.02, on the tick above it 103.05.
    assert sold(days[0][0]) == (EndReason.TARGET, "09:33:00", 100.0, 103.05)


def test_a_stop_that_trails_rises_with_the_highs_and_never_falls() -> None:
    rows = [
        *steady("09:30", "09:33"),
        ("09:33", 100, 104, 100, 103),
        *steady("09:34", "09:36", 102),
        ("09:36", 102, 102, 99, 101),
    ]
    assert sold(run(minutes(*rows, *steady("09:37", "09:41")), TRAILING)) == (EndReason.STOP_LOSS, "09:36:00", 100.0, 100.0)


@pytest.mark.parametrize("trail", [Trail(rupees=Decimal(10)), Trail(percent=Decimal(10)), Trail(rupees=Decimal(200))])
def test_a_trail_that_is_longer_than_the_way_to_the_stop_leaves_the_stop_where_it_is(trail: Trail) -> None:
    rows = [*steady("09:30", "09:33"), ("09:33", 100, 100, 95, 100), *steady("09:34", "09:41")]
    assert sold(run(minutes(*rows), replace(PLAN, trail=trail))) == (EndReason.STOP_LOSS, "09:33:00", 100.0, 95.0)


def test_inside_one_bar_the_stop_rises_at_its_high_and_is_passed_before_its_close() -> None:
    """Open, low, high, close: the low came before the high and does not count against the stop that the high has raised."""
    rows = [*steady("09:30", "09:33"), ("09:33", 100, 110, 97, 105), *steady("09:34", "09:41")]
    assert sold(run(minutes(*rows), TRAILING)) == (EndReason.STOP_LOSS, "09:33:00", 100.0, 106.0)


def test_what_comes_after_the_sale_changes_nothing() -> None:
    """Nothing is known before it happened: the future may be anything."""
    past = [*steady("09:15", "09:33"), ("09:33", 100, 100, 90, 100)]
    futures = ([], steady("09:34", "15:30", 1), steady("09:34", "15:30", 9_000))
    assert len({run(minutes(*past, *future)) for future in futures}) == 1


PRICES = st.integers(1_860, 2_140).map(lambda ticks: Decimal(ticks) * Decimal("0.05"))


@st.composite
def a_bar(draw: st.DrawFn, at: datetime) -> NaiveBar:
    prices = sorted(draw(st.tuples(PRICES, PRICES, PRICES, PRICES)))
    inner = prices[1:3] if draw(st.booleans()) else prices[2:0:-1]
    return NaiveBar(at, inner[0], prices[3], prices[0], inner[1])


@st.composite
def a_morning(draw: st.DrawFn) -> tuple[list[NaiveBar], int]:
    """Half an hour with holes, of bars or of ticks."""
    length = draw(st.sampled_from([0, 30, 60]))
    begin = instant(DAY, time(9, 10))
    offsets = sorted(draw(st.sets(st.integers(0, 60), min_size=1, max_size=40)))
    bars = [draw(a_bar(begin + timedelta(seconds=30 * offset if length < 60 else 60 * (offset // 2)))) for offset in offsets]
    unique = list({bar.start: bar for bar in bars}.values())
    if not length:
        unique = [NaiveBar(bar.start, bar.open, bar.open, bar.open, bar.open) for bar in unique]
    return unique, length


def columns(bars: Sequence[NaiveBar], length: int) -> Bars:
    return bars_of(
        length,
        [(to_milliseconds(b.start), to_units(b.open), to_units(b.high), to_units(b.low), to_units(b.close)) for b in bars],
    )


TICKS = st.integers(1, 150).map(lambda ticks: Decimal(ticks) * Decimal("0.05"))
TRAILS = st.one_of(
    st.none(), TICKS.map(lambda rupees: Trail(rupees=rupees)), st.decimals("0.01", "5", places=2).map(lambda p: Trail(percent=p))
)


@given(
    morning=a_morning(),
    buy=st.integers(0, 40),
    hold=st.integers(1, 40),
    # Mostly below the prices: at or above them nothing is bought.
    stop=st.integers(1_820, 2_020).map(lambda ticks: Decimal(ticks) * Decimal("0.05")),
    target=st.one_of(st.none(), TICKS),
    trail=TRAILS,
    bps=st.decimals(0, 50, places=2),
    stale=st.integers(0, 600),
)
@example(morning=([NaiveBar(instant(DAY, time(9, 15)), Decimal(100), Decimal(100), Decimal(95), Decimal(95))], 60),
         buy=0, hold=1, stop=Decimal(95), target=None, trail=None, bps=Decimal(0), stale=0)  # fmt: skip
def test_the_fast_engine_agrees_with_the_naive_one(
    morning: tuple[list[NaiveBar], int],
    buy: int,
    hold: int,
    stop: Decimal,
    target: Decimal | None,
    trail: Trail | None,
    bps: Decimal,
    stale: int,
) -> None:
    bars, length = morning
    begin = datetime.combine(DAY, time(9, 15))
    plan = Plan(
        SHARE.id,
        Product.MIS,
        10,
        (begin + timedelta(seconds=30 * buy)).time(),
        (begin + timedelta(seconds=30 * (buy + hold))).time(),
        stop,
        target_price=None if target is None else stop + target,
        trail=trail,
    )
    expected = naive_day(
        plan, bars, Weekdays().typical_day(), instrument=SHARE, length=timedelta(seconds=length), slippage_bps=bps,
        stale=timedelta(seconds=stale),
    )  # fmt: skip
    found = run(columns(bars, length), plan, rules=Rules(slippage_bps=bps, stale_after_seconds=stale))
    assert as_naive(found) == expected


def as_naive(trade: Trade) -> NaiveTrade:
    why = trade.not_judged or trade.end_reason
    assert why is not None
    if not trade.is_trade:
        return NaiveTrade(why.value)
    return NaiveTrade(
        why.value,
        to_instant(trade.bought_ms),
        to_rupees(trade.bought),
        to_instant(trade.sold_ms),
        to_rupees(trade.sold),
        trade.has_gap,
    )


def test_bars_survive_being_stored() -> None:
    bars = minutes(*steady("09:15", "09:20"))
    again = Bars.from_bytes(bars.to_bytes())
    assert (again.bar_seconds, again.start.tolist(), again.close.tolist()) == (60, bars.start.tolist(), bars.close.tolist())
    assert to_instant(again.start[0]) == datetime(2026, 11, 20, 3, 45, tzinfo=UTC)


def test_days_are_cut_out_by_their_indian_date() -> None:
    friday, monday = minutes(("09:15", 1, 1, 1, 1), ("15:29", 2, 2, 2, 2)), minutes(("09:15", 3, 3, 3, 3), day=date(2026, 11, 23))
    both = together(friday, monday)
    assert [(day, len(rows)) for day, rows in both.days()] == [(DAY, 2), (date(2026, 11, 23), 1)]
    assert len(both.between(date(2026, 11, 21), None)) == 1
    assert len(both.between(None, DAY)) == 2
    assert len(both.between(date(2026, 12, 1), date(2026, 1, 1))) == 0
