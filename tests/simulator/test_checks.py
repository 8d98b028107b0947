"""What is refused before an order exists, and that a refusal leaves nothing behind."""

from typing import Any

import pytest

from simulator.exchange.refusals import Reason, Refusal
from simulator.exchange.sessions import Hours
from simulator.money import to_price
from tests.simulator.market import TCS, Bench

HOUR_NS = 3_600_000_000_000

REFUSED: list[tuple[Reason, dict[str, Any]]] = [
    (Reason.UNKNOWN_INSTRUMENT, {"instrument": "NSE:NOPE"}),
    (Reason.NOT_TRADABLE, {"instrument": "NSE:NIFTY 50"}),
    (Reason.BAD_QUANTITY, {"quantity": 0}),
    (Reason.BAD_QUANTITY, {"quantity": -5}),
    (Reason.NOT_A_LOT, {"instrument": "NFO:NIFTYCE", "quantity": 80, "price": 150, "product": "NRML"}),
    (Reason.ABOVE_FREEZE, {"quantity": 10_000_000}),
    (Reason.BAD_PRICE, {"price": 0}),
    (Reason.BAD_PRICE, {"price": -3600}),
    (Reason.NOT_A_TICK, {"price": "3600.05"}),
    (Reason.ABOVE_CIRCUIT, {"price": "4320.10"}),
    (Reason.BELOW_CIRCUIT, {"price": "2879.90"}),
    (Reason.BAD_TRIGGER, {"order_type": "SL", "side": "SELL", "price": 3500}),
    (Reason.TRIGGER_BEYOND_LIMIT, {"order_type": "SL", "side": "SELL", "price": 3510, "trigger": 3500}),
    (Reason.TRIGGER_BEYOND_LIMIT, {"order_type": "SL", "side": "BUY", "price": 3690, "trigger": 3700}),
    (Reason.TRIGGER_ALREADY_HIT, {"order_type": "SL", "side": "SELL", "price": 3500, "trigger": 3600}),
    (Reason.TRIGGER_ALREADY_HIT, {"order_type": "SL", "side": "BUY", "price": 3700, "trigger": 3600}),
    (Reason.NOT_A_TICK, {"order_type": "SL", "side": "SELL", "price": 3500, "trigger": "3510.05"}),
    (Reason.BAD_DISCLOSED, {"quantity": 100, "disclosed": 9}),
    (Reason.BAD_DISCLOSED, {"quantity": 100, "disclosed": 101}),
    (Reason.NO_PROTECTION, {"order_type": "MARKET"}),
    (Reason.NO_PROTECTION, {"order_type": "MARKET", "protection": "0"}),
    (Reason.NO_PROTECTION, {"order_type": "MARKET", "protection": "100.1"}),
    (Reason.NO_PROTECTION, {"order_type": "SL-M", "side": "SELL", "trigger": 3500}),
    (Reason.STOP_MARKET_NOT_ALLOWED, {"instrument": "NFO:NIFTYCE", "order_type": "SL-M", "product": "NRML", "quantity": 75}),
    (Reason.BAD_PRODUCT, {"product": "NRML"}),
    (Reason.BAD_PRODUCT, {"instrument": "NFO:NIFTYCE", "product": "CNC", "quantity": 75, "price": 150}),
    (Reason.NO_FUNDS, {"quantity": 25_000, "price": 3600, "product": "CNC"}),
    (Reason.NO_HOLDINGS, {"side": "SELL", "product": "CNC"}),
]


@pytest.mark.parametrize(("reason", "order"), REFUSED, ids=lambda value: value.name if isinstance(value, Reason) else "")
def test_it_is_refused_and_leaves_nothing_behind(bench: Bench, reason: Reason, order: dict[str, Any]) -> None:
    alice = bench.exchange.accounts["sim-alice"]
    alice.funds = to_price(1_00_00_000) * 5
    before = alice.available
    arguments = {"side": "BUY", "quantity": 10, "price": 3600} | order
    with pytest.raises(Refusal) as refusal:
        bench.place(**arguments)
    assert refusal.value.reason is reason
    assert (alice.orders, alice.available, bench.exchange.events) == ([], before, [])


def test_real_sessions_take_orders_from_quarter_past_nine_to_half_past_three_on_weekdays(bench: Bench) -> None:
    bench.exchange.hours = Hours.SESSIONS
    with pytest.raises(Refusal, match="MARKET_CLOSED"):
        bench.place("BUY", 1, 3600)
    monday_noon = bench.clock.at_ns + 48 * HOUR_NS
    for at_ns, is_open in (
        (monday_noon, True),
        (monday_noon - 2 * HOUR_NS - 45 * HOUR_NS // 60, True),
        (monday_noon - 2 * HOUR_NS - 46 * HOUR_NS // 60, False),
        (monday_noon + 3 * HOUR_NS + 29 * HOUR_NS // 60, True),
        (monday_noon + 3 * HOUR_NS + 30 * HOUR_NS // 60, False),
    ):
        bench.clock.at_ns = at_ns
        assert bench.exchange.is_open() is is_open


def test_a_market_closed_by_hand_takes_no_orders_but_cancels(bench: Bench) -> None:
    order = bench.place("BUY", 10, 3590)
    bench.exchange.hours = Hours.CLOSED
    with pytest.raises(Refusal, match="MARKET_CLOSED"):
        bench.place("BUY", 1, 3600)
    assert bench.exchange.cancel(account="sim-alice", order_id=order.order_id).cancelled == 10


def test_a_delivery_sell_needs_the_shares_that_earlier_sells_have_not_taken(bench: Bench) -> None:
    bench.place("BUY", 10, 3610, product="CNC")
    bench.place("SELL", 6, 3700, product="CNC")
    with pytest.raises(Refusal, match="NO_HOLDINGS"):
        bench.place("SELL", 5, 3700, product="CNC")
    bench.place("SELL", 4, 3700, product="CNC")


def test_the_message_of_missing_funds_names_both_amounts(bench: Bench) -> None:
    bench.exchange.accounts["sim-alice"].funds = to_price(7_000)
    with pytest.raises(Refusal) as refusal:
        bench.place("BUY", 10, 3600)
    assert refusal.value.details == {"required": to_price(7_200), "available": to_price(7_000)}
    assert TCS in bench.exchange.markets
