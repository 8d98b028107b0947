"""Modifying and cancelling."""

from decimal import Decimal
from typing import Any

import pytest

from simulator.exchange.changing import MAXIMUM_MODIFICATIONS
from simulator.exchange.orders import ModifyRequest, Order, OrderType, Status
from simulator.exchange.refusals import Refusal
from simulator.money import to_price
from tests.simulator.market import TCS, Bench, fill_prices, statuses


def modify(bench: Bench, order: Order, **changes: Any) -> Order:
    for name in ("price", "trigger_price"):
        if name in changes:
            changes[name] = to_price(changes[name])
    return bench.exchange.modify(ModifyRequest(account=order.account, order_id=order.order_id, **changes))


def test_a_new_price_that_crosses_fills_at_the_last_price(bench: Bench) -> None:
    order = bench.place("SELL", 10, 3650)
    modify(bench, order, price=3580)
    assert fill_prices(bench, order) == [(10, 3600)]
    assert statuses(order)[4:] == ["MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED", "OPEN", "COMPLETE"]


def test_the_quantity_of_a_modification_is_the_new_total(bench: Bench) -> None:
    bench.exchange.set_depth(TCS, 4)
    order = bench.place("BUY", 10, 3610)
    modify(bench, order, quantity=6)
    assert (order.quantity, order.pending, order.filled) == (6, 2, 4)
    with pytest.raises(Refusal, match="BELOW_FILLED"):
        modify(bench, order, quantity=4)


@pytest.mark.parametrize(("change", "kept"), [({"quantity": 5}, True), ({"quantity": 20}, False), ({"price": 3580}, False)])
def test_only_a_smaller_quantity_keeps_the_place_in_the_queue(bench: Bench, change: dict[str, Any], kept: bool) -> None:
    first, second = bench.place("BUY", 10, 3590), bench.place("BUY", 10, 3590, account="bob")
    modify(bench, first, **change)
    modify(bench, first, price=3590)
    bench.exchange.set_depth(TCS, 1)
    bench.price(3590)
    assert (first.filled == 1, second.filled == 1) == (kept, not kept)


def test_a_refused_modification_changes_nothing(bench: Bench) -> None:
    order = bench.place("BUY", 10, 3590)
    before = (bench.exchange.accounts["sim-alice"].available, list(order.history))
    for change in ({"price": "3590.05"}, {"quantity": 0}, {"quantity": 10_000_000}, {"price": 9999}, {"quantity": 250_000}):
        with pytest.raises(Refusal):
            modify(bench, order, **change)
    with pytest.raises(Refusal, match="NO_PROTECTION"):
        modify(bench, order, order_type=OrderType.MARKET)
    assert (bench.exchange.accounts["sim-alice"].available, order.history) == before
    bench.price(3590)
    assert order.status is Status.COMPLETE, "it still rests where it did"


def test_the_twenty_sixth_modification_is_refused_and_cancel_still_works(bench: Bench) -> None:
    order = bench.place("BUY", 10, 3500)
    for number in range(MAXIMUM_MODIFICATIONS):
        modify(bench, order, price=3500 + number)
    with pytest.raises(Refusal, match="TOO_MANY_MODIFICATIONS"):
        modify(bench, order, price=3400)
    assert bench.exchange.cancel(account="sim-alice", order_id=order.order_id).status is Status.CANCELLED


def test_a_waiting_stop_can_be_moved_and_turned_into_a_limit(bench: Bench) -> None:
    stop = bench.place("SELL", 10, 3480, order_type="SL", trigger=3500)
    modify(bench, stop, trigger_price=3450, price=3440)
    bench.price(3490)
    assert stop.status is Status.TRIGGER_PENDING
    modify(bench, stop, order_type=OrderType.LIMIT, price=3480)
    assert fill_prices(bench, stop) == [(10, 3490)]


def test_an_order_becomes_a_stop_market_order_only_with_protection_and_keeps_it_when_moved(bench: Bench) -> None:
    order = bench.place("SELL", 10, 3700)
    with pytest.raises(Refusal, match="NO_PROTECTION"):
        modify(bench, order, order_type=OrderType.STOP_MARKET, trigger_price=3500)
    modify(bench, order, order_type=OrderType.STOP_MARKET, trigger_price=3500, protection=Decimal(2))
    assert (order.price, order.market_protection, order.status) == (0, "2", Status.TRIGGER_PENDING)
    modify(bench, order, trigger_price=3450)
    assert order.market_protection == "2"
    modify(bench, order, protection=Decimal(1))
    bench.exchange.set_depth(TCS, 0)
    bench.price(3400)
    assert (order.order_type, order.price) == ("LIMIT", to_price(3366))


def test_a_fired_stop_is_repriced_without_a_new_trigger(bench: Bench) -> None:
    stop = bench.place("SELL", 10, 3490, order_type="SL", trigger=3500)
    bench.price(3400)
    modify(bench, stop, price=3390)
    assert fill_prices(bench, stop) == [(10, 3400)]


def test_a_cancelled_order_keeps_its_fills(bench: Bench) -> None:
    bench.exchange.set_depth(TCS, 4)
    order = bench.place("BUY", 10, 3610)
    bench.exchange.cancel(account="sim-alice", order_id=order.order_id)
    assert (order.status, order.filled, order.cancelled, order.history[-1].pending) == (Status.CANCELLED, 4, 6, 6)
    assert statuses(order)[-2:] == ["CANCEL PENDING", "CANCELLED"]
    bench.price(3500)
    assert (order.filled, bench.net()) == (4, 4)


def test_what_the_broker_cancels_says_why_in_both_messages(bench: Bench) -> None:
    order = bench.place("BUY", 10, 3500)
    bench.exchange.broker_cancel(order, message="RMS:Auto square off")
    last = order.history[-1]
    assert (last.status, last.message, last.message_raw) == (Status.CANCELLED, "RMS:Auto square off", "RMS:Auto square off")
    bench.exchange.broker_cancel(order, message="again")
    assert order.history[-1] is last, "an order that is done is left alone"


def test_done_and_foreign_orders_cannot_be_changed(bench: Bench) -> None:
    done, foreign = bench.place("BUY", 10, 3610), bench.place("BUY", 10, 3500, account="bob")
    with pytest.raises(Refusal, match="ORDER_DONE"):
        modify(bench, done, price=3500)
    with pytest.raises(Refusal, match="ORDER_DONE"):
        bench.exchange.cancel(account="sim-alice", order_id=done.order_id)
    for order_id in (foreign.order_id, "123"):
        with pytest.raises(Refusal, match="UNKNOWN_ORDER"):
            bench.exchange.cancel(account="sim-alice", order_id=order_id)
