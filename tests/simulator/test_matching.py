"""Prices, times, depth and self-trades: how orders meet."""

import pytest

from simulator.exchange.orders import Side, Status
from simulator.money import to_price
from tests.simulator.market import TCS, Bench, fill_prices, statuses


def test_a_limit_that_reaches_the_last_price_fills_there_at_once(bench: Bench) -> None:
    order = bench.place("BUY", 10, 3610)
    assert fill_prices(bench, order) == [(10, 3600)]
    assert statuses(order) == [
        "PUT ORDER REQ RECEIVED",
        "VALIDATION PENDING",
        "OPEN PENDING",
        "OPEN",
        "COMPLETE",
    ]


def test_a_limit_away_from_the_price_rests_until_the_price_comes_and_fills_at_its_own_limit(bench: Bench) -> None:
    order = bench.place("BUY", 10, 3590)
    assert order.status is Status.OPEN
    bench.price("3590.10")
    assert order.status is Status.OPEN
    bench.price(3500)
    assert fill_prices(bench, order) == [(10, 3590)]


def test_a_set_depth_fills_that_much_per_price_event_and_leaves_the_rest_open(bench: Bench) -> None:
    bench.exchange.set_depth(TCS, 4)
    order = bench.place("SELL", 10, 3590)
    assert (order.filled, order.status) == (4, Status.OPEN)
    bench.price(3595)
    assert order.filled == 8
    bench.price(3595)
    assert (order.filled, order.status) == (10, Status.COMPLETE)


def test_orders_of_one_price_share_the_depth_by_time(bench: Bench) -> None:
    first, second = bench.place("BUY", 10, 3590), bench.place("BUY", 10, 3590, account="bob")
    bench.exchange.set_depth(TCS, 12)
    bench.price(3590)
    assert (first.filled, second.filled) == (10, 2)


def test_a_better_price_goes_before_an_earlier_time(bench: Bench) -> None:
    early, better = bench.place("SELL", 10, 3620), bench.place("SELL", 10, 3610, account="bob")
    bench.exchange.set_depth(TCS, 10)
    bench.price(3620)
    assert (early.filled, better.filled) == (0, 10)


def test_two_accounts_meet_at_the_resting_price_where_it_is_better_than_the_makers(bench: Bench) -> None:
    bench.exchange.set_depth(TCS, 0)
    resting = bench.place("SELL", 10, 3590, account="bob")
    bench.exchange.set_depth(TCS, None)
    assert fill_prices(bench, resting) == [(10, 3590)], "depth back: the maker takes what it crosses"
    bench.exchange.set_depth(TCS, 0)
    resting = bench.place("SELL", 6, 3590, account="bob")
    incoming = bench.place("BUY", 10, 3610)
    assert fill_prices(bench, resting) == [(6, 3590)]
    assert (fill_prices(bench, incoming), incoming.status) == ([(6, 3590)], Status.OPEN)


def test_an_order_that_would_meet_its_own_accounts_order_loses_its_remainder(bench: Bench) -> None:
    bench.exchange.set_depth(TCS, 0)
    own_buy = bench.place("BUY", 10, 3605)
    other_buy = bench.place("BUY", 3, 3606, account="bob")
    sell = bench.place("SELL", 10, 3600)
    assert fill_prices(bench, sell) == [(3, 3606)]
    assert (sell.status, sell.cancelled) == (Status.CANCELLED, 7)
    assert "self trade" in (sell.message_raw or "")
    assert (own_buy.status, own_buy.filled) == (Status.OPEN, 0)
    assert other_buy.status is Status.COMPLETE


def test_an_immediate_or_cancel_order_loses_what_did_not_match(bench: Bench) -> None:
    bench.exchange.set_depth(TCS, 4)
    order = bench.place("BUY", 10, 3610, validity="IOC")
    assert (order.status, order.filled, order.cancelled) == (Status.CANCELLED, 4, 6)
    missed = bench.place("BUY", 10, 3590, validity="IOC")
    assert (missed.status, missed.filled) == (Status.CANCELLED, 0)


def test_a_market_order_becomes_a_limit_at_the_edge_of_its_band(bench: Bench) -> None:
    bench.exchange.set_depth(TCS, 4)
    buy = bench.place("BUY", 10, order_type="MARKET", protection="2")
    assert (buy.order_type, buy.price, buy.filled) == ("LIMIT", to_price(3672), 4)
    assert buy.tags == ("mktp", "mktp:2.00")
    sell = bench.place("SELL", 4, order_type="MARKET", protection="-1", account="bob")
    assert sell.price == to_price(3582), "automatic is half a percent above 500 rupees"


@pytest.mark.parametrize(("side", "trigger", "limit", "hit"), [("SELL", 3500, 3480, 3499), ("BUY", 3700, 3720, 3700)])
def test_a_stop_waits_for_its_trigger_and_then_trades_as_a_limit(
    bench: Bench, side: str, trigger: int, limit: int, hit: int
) -> None:
    order = bench.place(side, 10, limit, order_type="SL", trigger=trigger)
    assert order.status is Status.TRIGGER_PENDING
    bench.price((trigger + 3600) / 2)
    assert order.status is Status.TRIGGER_PENDING
    bench.price(hit)
    assert fill_prices(bench, order) == [(10, hit)]
    assert statuses(order)[-3:] == ["TRIGGER PENDING", "OPEN", "COMPLETE"]


def test_a_stop_whose_limit_was_jumped_over_rests_as_a_limit(bench: Bench) -> None:
    order = bench.place("SELL", 10, 3490, order_type="SL", trigger=3500)
    bench.price(3400)
    assert (order.status, order.filled) == (Status.OPEN, 0)
    bench.price(3495)
    assert fill_prices(bench, order) == [(10, 3490)]


def test_a_stop_market_order_gets_a_protected_limit_when_it_fires(bench: Bench) -> None:
    order = bench.place("SELL", 10, order_type="SL-M", trigger=3500, protection="1")
    bench.exchange.set_depth(TCS, 0)
    bench.price(3400)
    assert (order.order_type, order.price) == ("LIMIT", to_price(3366))


def test_at_the_circuit_limit_nobody_takes_the_other_side(bench: Bench) -> None:
    bench.exchange.set_circuit(TCS, lower=to_price(3240), upper=to_price(3960))
    bench.price(3240)
    sell = bench.place("SELL", 10, 3240)
    assert (sell.status, sell.filled) == (Status.OPEN, 0)
    assert bench.place("BUY", 10, 3240).status is Status.CANCELLED, "its own resting sell is the only one there"
    bench.price("3240.10")
    assert sell.status is Status.COMPLETE


def test_a_held_order_rests_and_trades_only_up_to_its_cap(bench: Bench) -> None:
    never = bench.place("BUY", 10, 3610, fill_cap=0)
    partial = bench.place("BUY", 10, 3610, fill_cap=3, account="bob")
    bench.price(3590)
    assert (never.filled, partial.filled, partial.status) == (0, 3, Status.OPEN)
    bench.exchange.release_hold(never)
    assert fill_prices(bench, never) == [(10, 3590)]


def test_trades_do_not_move_the_last_price(bench: Bench) -> None:
    bench.exchange.set_depth(TCS, 0)
    bench.place("SELL", 5, 3590, account="bob")
    bench.place("BUY", 5, 3610)
    assert bench.tcs.last_price == to_price(3600)
    assert (bench.tcs.volume, bench.tcs.last_quantity) == (5, 5)


def test_a_spread_sells_above_the_last_price_and_buys_below_it_on_the_tick_and_inside_the_limits(bench: Bench) -> None:
    bench.tcs.spread_millionths = 500
    assert bench.place("BUY", 1, 3610).filled_value == to_price("3601.80")
    # Five hundredths of a percent are a little more here: to the next tick, against whoever asks.
    bench.price("3601.10")
    assert bench.place("SELL", 1, 3590).filled_value == to_price("3599.20")
    bench.exchange.set_circuit(TCS, lower=to_price(3600), upper=to_price(3602))
    assert [bench.tcs.maker_price(side) for side in Side] == [to_price(3600), to_price(3602)]


def test_inside_the_spread_an_order_rests_until_the_makers_price_comes_to_it(bench: Bench) -> None:
    bench.tcs.spread_millionths = 500
    order = bench.place("BUY", 10, 3600)
    bench.price(3599)
    assert order.status is Status.OPEN
    bench.price(3598)
    assert fill_prices(bench, order) == [(10, 3600)]
