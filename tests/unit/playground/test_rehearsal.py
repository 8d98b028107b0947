"""A simulated day goes the way the platform's orders go, and where both know the same prices it agrees with the backtest."""

from dataclasses import replace
from datetime import time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.bars import Bars, bars_of, to_milliseconds
from playground.engine import NotJudged, TradingDay, judge
from playground.rehearsal import Outcome, rehearse
from playground.setup import Rules, Variant
from playground.walk import Walk, walk
from tests.unit.playground.test_engine import DAY, EXACT, PLAN, SHARE, TICKS, TRAILS, Weekdays, minutes, steady
from trading.instruments import Instrument
from trading.plan import Plan
from trading.runs import EndReason
from trading.schedule import window_on
from trading.sessions import instant
from trading.trailing import Trail


def rehearsed(bars: Bars, plan: Plan = PLAN, *, rules: Rules = EXACT, instrument: Instrument = SHARE) -> Outcome:
    window = window_on(plan, instrument=instrument, exchange_day=Weekdays().typical_day())
    return rehearse(plan, window, bars, instrument=instrument, rules=rules)


def kinds(outcome: Outcome) -> list[str]:
    return [event.kind for event in outcome.events]


def test_a_day_without_a_stop_is_bought_covered_and_sold_at_its_time() -> None:
    outcome = rehearsed(minutes(*steady("09:15", "09:45")))
    assert outcome.end_reason is EndReason.SOLD_AT_TIME
    assert kinds(outcome) == ["entry_due", "order_sent", "bought", "exit_armed", "sell_time", "order_sent", "sold"]
    assert (outcome.events[2].at, outcome.events[-1].at) == (instant(DAY, time(9, 30)), instant(DAY, time(9, 40)))
    assert outcome.holding.is_flat


def test_a_price_at_the_stop_skips_the_entry() -> None:
    outcome = rehearsed(minutes(*steady("09:15", "09:45", 95)))
    assert (outcome.end_reason, kinds(outcome)[-1]) == (EndReason.ENTRY_SKIPPED, "entry_skipped")


def test_an_order_that_does_not_fill_rests_and_is_repriced_until_it_does() -> None:
    """No order may be priced below the circuit limit: while the price is under it, nobody buys."""
    at = [("09:30:00", 100), ("09:31:00", 95), ("09:31:01", 95), ("09:31:03", 95), ("09:31:04", 98)]
    prices = minutes(*((moment, *[float(price)] * 4) for moment, price in at), seconds=0)
    outcome = rehearsed(prices, instrument=replace(SHARE, lower_circuit=Decimal(97)))
    assert kinds(outcome)[-4:] == ["stop_loss", "order_sent", "order_repriced", "sold"]
    assert (outcome.end_reason, outcome.holding.sell_value) == (EndReason.STOP_LOSS, 980)


def test_prices_that_end_first_are_no_ending() -> None:
    outcome = rehearsed(minutes(*steady("09:15", "09:35")))
    assert (outcome.end_reason, outcome.holding.open_quantity) == (None, 10)


def test_nothing_sold_at_the_last_moment_is_handed_to_a_person() -> None:
    plan = replace(PLAN, sell_time=time(15, 20))
    # Five minutes after the last safe moment the broker squares off by itself; no price came before.
    outcome = rehearsed(minutes(*steady("09:30", "09:31"), ("15:25", 100, 100, 100, 100)), plan)
    assert outcome.end_reason is EndReason.HANDED_OVER


def test_a_target_is_sold_at_on_the_way_up_and_the_timeline_says_so() -> None:
    plan = replace(PLAN, target_price=Decimal(105))
    outcome = rehearsed(minutes(*steady("09:30", "09:33"), ("09:33", 100, 120, 99, 119), *steady("09:34", "09:41")), plan)
    assert kinds(outcome)[-3:] == ["target_hit", "order_sent", "sold"]
    assert (outcome.end_reason, outcome.holding.sell_value) == (EndReason.TARGET, 1_050)


def test_a_price_at_the_target_skips_the_entry() -> None:
    outcome = rehearsed(minutes(*steady("09:15", "09:45")), replace(PLAN, target_price=Decimal(100)))
    assert (outcome.end_reason, kinds(outcome)[-1]) == (EndReason.ENTRY_SKIPPED, "entry_skipped")


def test_a_stop_that_trails_follows_the_price_from_the_purchase_on() -> None:
    plan = replace(PLAN, trail=Trail(percent=Decimal(2)))
    at = [("09:20:00", 200), ("09:30:00", 100), ("09:31:00", 110), ("09:32:00", 108), ("09:33:00", 107.8)]
    outcome = rehearsed(minutes(*((moment, *[float(price)] * 4) for moment, price in at), seconds=0), plan)
    assert "has followed the price to 107.80" in outcome.events[-3].message
    assert (outcome.end_reason, outcome.holding.sell_value) == (EndReason.STOP_LOSS, 1_078)


STEPS = st.lists(st.integers(-30, 30), min_size=1, max_size=120)


@given(
    steps=STEPS,
    stop=st.integers(1_900, 2_100),
    target=st.one_of(st.none(), TICKS),
    trail=TRAILS,
    buy=st.integers(0, 30),
    hold=st.integers(1, 60),
    bps=st.integers(0, 20),
)
def test_where_both_know_every_price_the_simulation_agrees_with_the_backtest(
    steps: list[int], stop: int, target: Decimal | None, trail: Trail | None, buy: int, hold: int, bps: int
) -> None:
    """Two engines that share no code for fills: one finds rows in columns, the other sends orders."""
    begin = to_milliseconds(instant(DAY, time(9, 15)))
    ticks, price = [], 2_000
    for number, step in enumerate(steps):
        price = max(price + step, 1)
        ticks.append((begin + number * 1_000, *[price * 500] * 4))
    bars = bars_of(0, ticks)
    buy_time, sell_time = ((instant(DAY, time(9, 15)) + timedelta(seconds=n)).time() for n in (buy, buy + hold))
    stop_loss = Decimal(stop) * Decimal("0.05")
    target_price = None if target is None else stop_loss + target
    plan = replace(PLAN, buy_time=buy_time, sell_time=sell_time, stop_loss=stop_loss, target_price=target_price, trail=trail)
    rules = Rules(slippage_bps=Decimal(bps))
    found = judge(Variant(0, plan), TradingDay(Weekdays().typical_day(), bars, None), instrument=SHARE, rules=rules)
    outcome = rehearsed(bars, plan, rules=rules)
    if found.not_judged is not None:
        assert found.not_judged in (NotJudged.NO_ENTRY_PRICE, NotJudged.NO_EXIT_PRICE)
        assert outcome.end_reason is None or outcome.holding.bought == 0
        return
    assert outcome.end_reason is found.end_reason
    assert outcome.holding.realised_pnl == found.gross(plan.quantity)


@pytest.mark.parametrize("seconds", [0, 60])
def test_the_same_seed_makes_the_same_day_and_another_one_another(seconds: int) -> None:
    made = [walk([DAY], Walk(seed, Decimal(1000), Decimal("0.05")), bar_seconds=seconds).close.tolist() for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]


def test_a_made_up_day_goes_nowhere_on_average() -> None:
    ends = [int(walk([DAY], Walk(seed, Decimal(1000), Decimal("0.05")), closes=time(9, 45)).close[-1]) for seed in range(60)]
    above = sum(end > 10_000_000 for end in ends)
    assert 15 < above < 45
