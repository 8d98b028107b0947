"""A simulated day goes the way the platform's orders go, and where both know the same prices it agrees with the backtest."""

from dataclasses import replace
from datetime import time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.bars import Bars, bars_of, to_milliseconds
from playground.engine import NotJudged, TradingDay, judge
from playground.market import RehearsalMarket, Terms
from playground.prices import prices_of
from playground.rehearsal import Rehearsal, rehearse
from playground.setup import Rules, Variant
from playground.timeline import Outcome
from playground.walk import Walk, walk
from tests.unit.playground.test_engine import DAY, EXACT, PLAN, SHARE, TICKS, TRAILS, Weekdays, minutes, steady
from trading.instruments import Instrument
from trading.orders import Side
from trading.plan import Plan
from trading.runs import EndReason
from trading.schedule import window_on
from trading.sessions import instant
from trading.trailing import Trail


def rehearsed(
    bars: Bars, plan: Plan = PLAN, *, rules: Rules = EXACT, instrument: Instrument = SHARE, depth: int | None = None
) -> Outcome:
    window = window_on(plan, instrument=instrument, exchange_day=Weekdays().typical_day())
    return rehearse(plan, window, bars, instrument=instrument, rules=rules, depth=depth)


def kinds(outcome: Outcome) -> list[str]:
    return [event.kind for event in outcome.events]


def at_moments(*prices: tuple[str, float]) -> Bars:
    return minutes(*((moment, price, price, price, price) for moment, price in prices), seconds=0)


def test_a_day_without_a_stop_is_bought_covered_and_sold_at_its_time() -> None:
    outcome = rehearsed(minutes(*steady("09:15", "09:45")))
    assert outcome.end_reason is EndReason.SOLD_AT_TIME
    assert kinds(outcome) == ["entry_due", "order_sent", "bought", "exit_armed", "sell_time", "order_sent", "sold"]
    assert (outcome.events[2].at, outcome.events[-1].at) == (instant(DAY, time(9, 30)), instant(DAY, time(9, 40)))
    assert outcome.holding.is_flat


def test_a_price_at_the_stop_skips_the_entry() -> None:
    outcome = rehearsed(minutes(*steady("09:15", "09:45", 95)))
    assert (outcome.end_reason, kinds(outcome)[-1]) == (EndReason.ENTRY_SKIPPED, "entry_skipped")


def test_an_order_that_does_not_fill_rests_at_the_circuit_limit_until_the_price_comes_back_to_it() -> None:
    """No order may be priced below the circuit limit: while the price is under it, nobody buys."""
    prices = at_moments(("09:30:00", 100), ("09:31:00", 95), ("09:31:01", 95), ("09:31:03", 95), ("09:31:04", 98))
    outcome = rehearsed(prices, instrument=replace(SHARE, lower_circuit=Decimal(97)))
    assert kinds(outcome)[-3:] == ["stop_loss", "order_sent", "sold"]
    # It was in the book when the price passed it on its way up.
    assert (outcome.end_reason, outcome.holding.sell_value) == (EndReason.STOP_LOSS, 970)


def test_a_sale_that_its_band_does_not_reach_is_repriced_at_its_own_time_until_it_is_taken() -> None:
    """The market pays 1.5 % less than the last price; at that price the bands reach 0.5, 1 and then 2 % below it."""
    prices = at_moments(("09:30:00", 99), ("09:40:00", 600), ("09:40:10", 600))
    outcome = rehearsed(prices, rules=Rules(slippage_bps=Decimal(150)))
    assert kinds(outcome)[-4:] == ["order_sent", "order_repriced", "order_repriced", "sold"]
    begun, sold = outcome.events[-4].at, outcome.events[-1].at
    assert (sold - begun, outcome.events[-1].price) == (timedelta(seconds=4), 591)


def test_a_thin_market_fills_in_parts_and_every_part_is_covered() -> None:
    prices = at_moments(
        ("09:30:00", 100), ("09:30:01", 100), ("09:30:02", 100), ("09:40:00", 101), ("09:40:01", 101), ("09:40:02", 101)
    )
    outcome = rehearsed(prices, depth=4)
    told = [event.message for event in outcome.events if event.kind in ("bought", "sold")]
    assert [message.partition(" at ")[0] for message in told] == [
        "bought 4",
        "bought 4",
        "bought 2",
        "sold 4",
        "sold 4",
        "sold 2",
    ]
    assert (outcome.end_reason, outcome.holding.sold) == (EndReason.SOLD_AT_TIME, 10)


def test_what_is_not_bought_by_its_deadline_is_cancelled_and_the_rest_is_held() -> None:
    prices = at_moments(("09:30:00", 100), ("09:31:00", 103), ("09:40:00", 103))
    outcome = rehearsed(prices, depth=4)
    cancelled = next(event for event in outcome.events if event.kind == "cancelled")
    assert cancelled.at == instant(DAY, time(9, 30, 30))
    assert (outcome.holding.bought, outcome.holding.sold, outcome.end_reason) == (4, 4, EndReason.SOLD_AT_TIME)


def test_a_buy_that_still_rests_is_taken_back_before_the_stop_is_sold() -> None:
    """The exchange would cancel whichever of the two meets the other: self-trade prevention."""
    prices = at_moments(("09:30:00", 100), ("09:30:05", 94), ("09:30:06", 94), ("09:30:07", 94))
    market, run = at_the_exchange(prices, plan=replace(PLAN, quantity=20), depth=4)
    for at, price in prices_of(prices):
        run.price(at, price)
    outcome = run.outcome()
    assert [kind for kind in kinds(outcome) if kind in ("cancelled", "stop_loss", "sold")][:2] == ["stop_loss", "cancelled"]
    assert (outcome.end_reason, outcome.holding.open_quantity) == (EndReason.STOP_LOSS, 0)
    assert not [order for order in market.orders() if "self trade" in order.message]


def test_an_order_above_the_freeze_quantity_is_refused_in_the_exchanges_words() -> None:
    outcome = rehearsed(minutes(*steady("09:15", "09:45")), instrument=replace(SHARE, freeze_quantity=9))
    assert (outcome.end_reason, outcome.detail) == (EndReason.ENTRY_FAILED, "above freeze")
    assert kinds(outcome) == ["entry_due", "order_sent", "rejected"]


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


def at_the_exchange(
    bars: Bars, *, plan: Plan = PLAN, rules: Rules = EXACT, depth: int | None = None
) -> tuple[RehearsalMarket, Rehearsal]:
    market = RehearsalMarket(SHARE, bars, terms=Terms(rules.slippage_millionths, depth))
    window = window_on(plan, instrument=SHARE, exchange_day=Weekdays().typical_day())
    return market, Rehearsal(plan, window, instrument=SHARE, market=market, rules=rules)


@given(
    steps=st.lists(st.integers(-40, 40), min_size=2, max_size=90),
    quantity=st.integers(1, 40),
    depth=st.one_of(st.none(), st.integers(1, 12)),
    bps=st.sampled_from([0, 5, 90, 300]),
    hold=st.integers(1, 60),
)
def test_what_the_run_believes_is_what_the_exchange_has_written_down(
    steps: list[int], quantity: int, depth: int | None, bps: int, hold: int
) -> None:
    """In thin and wide markets too: each share once, never more sold than bought, one exit at a time, each tag once."""
    moment = instant(DAY, time(9, 29, 57))
    ticks, price = [], 2_000
    for number, step in enumerate(steps):
        price = max(price + step, 1)
        ticks.append((to_milliseconds(moment) + number * 1_000, *[price * 500] * 4))
    bars = bars_of(0, ticks)
    plan = replace(PLAN, quantity=quantity, sell_time=(instant(DAY, time(9, 30)) + timedelta(seconds=hold)).time())
    market, run = at_the_exchange(bars, plan=plan, rules=Rules(slippage_bps=Decimal(bps)), depth=depth)
    for at, each in prices_of(bars):
        going_on = run.price(at, each)
        book, trades, holding = market.orders(), market.trades(), run.outcome().holding
        traded = {side: sum(trade.quantity for trade in trades if trade.side is side) for side in Side}
        assert (holding.bought, holding.sold) == (traded[Side.BUY], traded[Side.SELL])
        assert holding.sold <= holding.bought <= quantity
        assert holding.sell_value == sum(trade.quantity * trade.price for trade in trades if trade.side is Side.SELL)
        assert len({order.tag for order in book}) == len(book)
        assert sum(not order.status.is_terminal for order in book if order.side is Side.SELL) <= 1
        if not going_on:
            assert all(order.status.is_terminal for order in book)
            assert run.outcome().end_reason is EndReason.HANDED_OVER or holding.is_flat
            return


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
