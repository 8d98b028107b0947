from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trading.samples import FUTURE, TCS
from trading.instruments import InstrumentId, Product
from trading.ledger import LedgerKey, OpenRun, baseline_of, held_in_the_morning, missing_shares, net_of, taken_from
from trading.orders import BrokerHolding, BrokerPosition, BrokerTrade, Side

KEY = LedgerKey(TCS, Product.MIS)
AT = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
PRICE = Decimal(3500)

TRADES = st.lists(
    st.builds(
        lambda order, number, side, quantity: trade(f"o{order}", f"t{number}", side, quantity),
        st.integers(1, 4),
        st.integers(1, 6),
        st.sampled_from(Side),
        st.integers(1, 100),
    ),
    unique_by=lambda made: (made.broker_order_id, made.trade_id),
)


def trade(order: str, number: str, side: Side, quantity: int) -> BrokerTrade:
    return BrokerTrade(number, order, TCS, Product.MIS, side, quantity, PRICE, AT)


def position(net: int) -> BrokerPosition:
    return BrokerPosition(TCS, Product.MIS, net, PRICE, PRICE)


@given(TRADES, st.integers(-500, 500))
def test_what_was_there_before_is_the_position_without_the_days_trades(trades: list[BrokerTrade], before: int) -> None:
    held = before + net_of(trades, KEY)
    assert baseline_of([position(held)], trades, KEY) == before


@given(TRADES, TRADES)
def test_a_trade_listed_twice_counts_once(trades: list[BrokerTrade], others: list[BrokerTrade]) -> None:
    assert net_of([*trades, *trades], KEY) == net_of(trades, KEY)


@given(TRADES)
def test_our_orders_and_foreign_ones_add_up_to_all(trades: list[BrokerTrade]) -> None:
    ours = frozenset({"o1", "o2"})
    own = [made for made in trades if made.broker_order_id in ours]
    assert net_of(trades, KEY, without=ours) + net_of(own, KEY) == net_of(trades, KEY)


def test_another_product_or_instrument_is_another_ledger() -> None:
    others = [
        replace(trade("o1", "t1", Side.BUY, 10), product=Product.CNC),
        replace(trade("o1", "t2", Side.BUY, 20), instrument=FUTURE.id),
        trade("o1", "t3", Side.BUY, 30),
    ]
    assert net_of(others, KEY) == 30
    elsewhere = [replace(position(70), product=Product.CNC), replace(position(80), instrument=FUTURE.id), position(40)]
    assert baseline_of(elsewhere, others, KEY) == 10


OWN = frozenset({"ours"})
HELD = 200


def course(*steps: tuple[str, int]) -> list[BrokerTrade]:
    """Trades a minute apart: `ours` or `his`, and the quantity bought (sold: below zero)."""
    return [
        replace(
            trade(whose, f"t{number}", Side.BUY if bought > 0 else Side.SELL, abs(bought)),
            filled_at=AT + timedelta(minutes=number),
        )
        for number, (whose, bought) in enumerate(steps)
    ]


def missing(trades: list[BrokerTrade], *, baseline: int = 0, left_open: int = 0) -> int:
    return missing_shares(trades, KEY, own=OWN, baseline=baseline, left_open=left_open)


@pytest.mark.parametrize(
    ("baseline", "foreign", "expected"),
    [
        (0, -30, 30),
        (100, -30, 0),
        (100, -130, 30),
        (100, 30, 0),
        (0, 30, 0),
        (-50, -30, 30),
        (-50, 30, 0),
    ],
)
def test_foreign_sales_take_the_users_own_shares_first_and_then_ours(baseline: int, foreign: int, expected: int) -> None:
    assert missing(course(("ours", HELD), ("his", foreign)), baseline=baseline) == expected


def test_what_the_user_sold_before_we_bought_is_a_short_of_his_own() -> None:
    assert missing(course(("his", -10), ("ours", 28))) == 0
    assert missing(course(("ours", 7), ("ours", -7), ("his", -10), ("ours", 28))) == 0
    assert missing(course(("his", -10), ("ours", 28), ("his", -5))) == 5


def test_only_what_is_held_can_be_taken() -> None:
    assert missing(course(("ours", 7), ("his", -19))) == 7


def test_who_buys_back_what_he_sold_has_taken_nothing() -> None:
    assert missing(course(("ours", 28), ("his", -10), ("his", 10))) == 0


def test_what_the_user_bought_later_was_not_there_to_be_sold() -> None:
    assert missing(course(("ours", 28), ("his", -10), ("his", 4))) == 6


def test_within_one_second_what_we_bought_was_there() -> None:
    same = [replace(made, filled_at=AT) for made in course(("his", -10), ("ours", 28))]
    assert missing(same) == 10
    assert missing([replace(made, filled_at=AT) for made in course(("ours", 28), ("ours", -28), ("his", -10))]) == 10


# --- delivered shares ---------------------------------------------------------------------------------------------------

DELIVERY = LedgerKey(TCS, Product.CNC)


def delivery(*steps: tuple[str, int]) -> list[BrokerTrade]:
    return [replace(made, product=Product.CNC) for made in course(*steps)]


def morning(listed: dict[str, int], *steps: tuple[str, int], elsewhere: int = 0) -> int:
    """`listed`: shares by instrument. `elsewhere`: what the user has sold of TCS at the other exchange."""
    holdings = [BrokerHolding(InstrumentId(*name.split(":")), quantity, PRICE) for name, quantity in listed.items()]
    trades = delivery(*steps)
    if elsewhere:
        sold = replace(trade("his", "there", Side.SELL, elsewhere), product=Product.CNC)
        trades.append(replace(sold, instrument=InstrumentId("BSE", TCS.symbol)))
    return held_in_the_morning(holdings, [*trades, *trades], DELIVERY, own=OWN)


def missing_delivered(*steps: tuple[str, int], delivered: int) -> int:
    return missing_shares(delivery(*steps), DELIVERY, own=OWN, baseline=0, delivered=delivered)


def test_what_was_there_in_the_morning_is_never_less_than_it_was_whichever_way_the_broker_counts_sales() -> None:
    sold = ("ours", 7), ("his", -20), ("ours", -7), ("his", 3)
    assert morning({"NSE:TCS": 25}) == 25
    assert morning({"NSE:TCS": 5}, *sold) == 25
    assert morning({"NSE:TCS": 25}, *sold) == 45
    assert morning({}, *sold) == 20


def test_a_share_is_the_same_at_both_exchanges_and_in_every_series() -> None:
    assert morning({"BSE:TCS": 25, "NSE:INFY": 99}) == 25
    assert morning({"NSE:TCS-BE": 25}) == 25
    assert morning({"NSE:TCS": 5}, elsewhere=20) == 25


def test_delivered_shares_of_earlier_days_are_sold_first_and_then_those_of_runs() -> None:
    assert missing_delivered(("ours", 7), ("his", -20), delivered=25) == 0
    assert missing_delivered(("ours", 7), ("his", -20), delivered=20) == 0
    assert missing_delivered(("ours", 7), ("his", -20), delivered=16) == 4
    assert missing_delivered(("ours", 7), ("his", -7), delivered=0) == 7


def test_who_could_sell_more_delivered_shares_than_we_know_of_has_more_and_nothing_is_taken() -> None:
    assert missing_delivered(("ours", 7), ("his", -8), delivered=0) == 0
    assert missing_delivered(("ours", 7), ("ours", -7), ("his", -20), delivered=16) == 0


COURSES = st.lists(st.tuples(st.sampled_from(["ours", "his"]), st.integers(-40, 40).filter(bool)), max_size=8).map(
    lambda steps: course(*steps)
)


@given(COURSES, st.integers(-100, 100))
def test_never_more_is_missing_than_strangers_sold_nor_than_we_bought(trades: list[BrokerTrade], baseline: int) -> None:
    sold = sum(made.quantity for made in trades if made.broker_order_id == "his" and made.side is Side.SELL)
    bought = sum(made.quantity for made in trades if made.broker_order_id == "ours" and made.side is Side.BUY)
    assert 0 <= missing(trades, baseline=baseline) <= min(sold, bought)


@given(COURSES, st.integers(0, 100))
def test_what_was_left_to_the_user_is_sold_before_a_runs_shares(trades: list[BrokerTrade], left_open: int) -> None:
    assert missing(trades, left_open=left_open) == max(0, missing(trades) - left_open)


RUNS = st.lists(st.integers(-5, 100), max_size=6).map(
    lambda held: [OpenRun(f"run-{number}", quantity) for number, quantity in enumerate(held)]
)


@given(RUNS, st.integers(0, 500))
def test_no_run_loses_more_than_it_holds_and_together_they_lose_what_is_missing(runs: list[OpenRun], missing: int) -> None:
    taken = taken_from(runs, missing)
    assert all(0 < taken[run.run_id] <= run.open_quantity for run in runs if run.run_id in taken)
    assert sum(taken.values()) == min(missing, sum(max(run.open_quantity, 0) for run in runs))


@given(RUNS, st.integers(0, 500))
def test_an_older_run_loses_only_what_newer_ones_cannot_give(runs: list[OpenRun], missing: int) -> None:
    taken = taken_from(runs, missing)
    for older, newer in pairwise(runs):
        if older.run_id in taken:
            assert taken.get(newer.run_id, 0) == max(newer.open_quantity, 0)
