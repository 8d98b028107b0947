from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trading.samples import FUTURE, TCS
from trading.instruments import Product
from trading.ledger import LedgerKey, OpenRun, baseline_of, net_of, shortfall, taken_from
from trading.orders import BrokerPosition, BrokerTrade, Side

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


@pytest.mark.parametrize(
    ("baseline", "foreign", "missing"),
    [
        (0, 0, 0),
        (0, -30, 30),
        (100, -30, 0),
        (100, -130, 30),
        (100, 30, 0),
        (0, 30, 0),
        (-50, -30, 30),
        (-50, 30, 0),
        (-50, 0, 0),
    ],
)
def test_foreign_sales_take_the_users_own_shares_first_and_then_ours(baseline: int, foreign: int, missing: int) -> None:
    assert shortfall(baseline=baseline, foreign=foreign) == missing


@given(st.integers(-1_000, 1_000), st.integers(-1_000, 1_000))
def test_never_more_is_missing_than_strangers_sold(baseline: int, foreign: int) -> None:
    assert 0 <= shortfall(baseline=baseline, foreign=foreign) <= max(0, -foreign)


@given(st.integers(-1_000, 1_000), st.integers(-1_000, 1_000), st.integers(0, 1_000))
def test_what_was_left_to_the_user_is_sold_before_a_runs_shares(baseline: int, foreign: int, left_open: int) -> None:
    without = shortfall(baseline=baseline, foreign=foreign)
    assert shortfall(baseline=baseline, foreign=foreign, left_open=left_open) == max(0, without - left_open)


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
