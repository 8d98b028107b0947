"""Sums of results: they must say what the fills say, to the paisa, however runs are grouped."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trading.accounts import BrokerName, Environment
from trading.charges import Executed
from trading.instruments import Product
from trading.orders import Side
from trading.results import OrderFills, RunFacts, RunResult, add_up, curve_of, result_of
from trading.runs import EndReason

DAY = date(2026, 11, 20)
PRICES = st.decimals("0.05", "10000", places=2)


def order(side: Side, *fills: tuple[int, str], wanted: str | None = None, filled: int | None = None) -> OrderFills:
    quantity = sum(count for count, _ in fills)
    value = sum((count * Decimal(price) for count, price in fills), Decimal(0))
    average = (value / quantity).quantize(Decimal("0.0001")) if quantity else Decimal(0)
    counted = quantity if filled is None else filled
    return OrderFills(Executed(side, quantity, value), counted, average, Decimal(wanted) if wanted else None)


def facts(*orders: OrderFills, **values: Any) -> RunFacts:
    defaults: dict[str, Any] = {
        "run_id": "run_1",
        "strategy_id": "str_1",
        "account_id": "brk_1",
        "broker": BrokerName.ZERODHA,
        "environment": Environment.SIMULATED,
        "trading_day": DAY,
        "exchange": "NSE",
        "symbol": "TCS",
        "product": Product.MIS,
        "is_ended": True,
        "end_reason": EndReason.SOLD_AT_TIME,
        "taken_elsewhere": 0,
    }
    return RunFacts(**{**defaults, **values}, orders=orders)


@st.composite
def traded(draw: st.DrawFn) -> tuple[RunFacts, list[tuple[Side, int, Decimal]]]:
    """A run and the fills it is made of: bought in parts, sold in parts, not always to the last share."""
    fills: list[tuple[Side, int, Decimal]] = []
    orders: list[OrderFills] = []
    bought = 0
    for _ in range(draw(st.integers(0, 3))):
        parts = draw(st.lists(st.tuples(st.integers(1, 5_000), PRICES), min_size=1, max_size=3))
        bought += sum(count for count, _ in parts)
        orders.append(order(Side.BUY, *((count, str(price)) for count, price in parts)))
        fills += [(Side.BUY, count, price) for count, price in parts]
    left = draw(st.integers(0, bought)) if draw(st.booleans()) else bought
    while left > 0:
        count, price = draw(st.integers(1, left)), draw(PRICES)
        orders.append(order(Side.SELL, (count, str(price))))
        fills.append((Side.SELL, count, price))
        left -= count
    run = facts(
        *orders,
        strategy_id=draw(st.sampled_from(["a", "b", "c"])),
        account_id=draw(st.sampled_from(["x", "y"])),
        trading_day=DAY - timedelta(days=draw(st.integers(0, 3))),
        is_ended=draw(st.booleans()),
    )
    return run, fills


@given(st.lists(traded(), max_size=6))
def test_the_sums_are_what_the_fills_brought_in_less_what_they_took_out(
    runs: list[tuple[RunFacts, list[tuple[Side, int, Decimal]]]],
) -> None:
    cash = Decimal(0)
    for _, fills in runs:
        for side, quantity, price in fills:
            cash += quantity * price if side is Side.SELL else -quantity * price
    sums = add_up([result_of(run) for run, _ in runs])
    assert sums.realised - sums.unsold_cost == cash == sums.sold_value - sums.bought_value
    assert sums.unreconciled_runs == 0


@given(traded())
def test_a_run_that_sold_all_it_bought_has_realised_exactly_its_cash(
    run: tuple[RunFacts, list[tuple[Side, int, Decimal]]],
) -> None:
    result = result_of(run[0])
    if result.holding.is_flat:
        assert result.unsold_cost == 0
        assert result.realised == result.holding.sell_value - result.holding.buy_value


@given(st.lists(traded(), max_size=8))
def test_groups_add_up_to_the_total_whichever_way_runs_are_grouped(
    runs: list[tuple[RunFacts, list[tuple[Side, int, Decimal]]]],
) -> None:
    results = [result_of(run) for run, _ in runs]
    total = add_up(results)
    keys: list[Callable[[RunResult], object]] = [
        lambda result: result.facts.strategy_id,
        lambda result: result.facts.account_id,
        lambda result: result.facts.trading_day,
    ]
    for key in keys:
        groups: dict[object, list[RunResult]] = {}
        for result in results:
            groups.setdefault(key(result), []).append(result)
        sums = [add_up(group) for group in groups.values()]
        for name in ("runs", "traded_runs", "winning_runs", "losing_runs", "realised", "unsold_cost", "charges"):
            assert sum(getattr(group, name) for group in sums) == getattr(total, name), name


@given(st.lists(traded(), max_size=8))
def test_the_curve_ends_at_the_sum_and_is_never_above_its_own_peak(
    runs: list[tuple[RunFacts, list[tuple[Side, int, Decimal]]]],
) -> None:
    results = [result_of(run) for run, _ in runs]
    curve = curve_of(results)
    ended = add_up([result for result in results if result.facts.is_ended])
    assert (curve.points[-1].equity if curve.points else Decimal(0)) == ended.net
    peak = Decimal(0)
    for point in curve.points:
        peak = max(peak, point.equity)
        assert point.drawdown == peak - point.equity >= 0
    assert curve.worst_drawdown == max((point.drawdown for point in curve.points), default=Decimal(0))


def test_fills_are_believed_rather_than_a_rounded_average() -> None:
    thirds = order(Side.BUY, (5_000, "100.01"), (10_000, "100.00"))
    assert thirds.average_price * 15_000 != thirds.executed.value, "the rounded average is some paise away"
    assert result_of(facts(thirds)).holding.buy_value == Decimal("1500050.00")


def test_while_fills_are_missing_the_orders_own_sums_stand_in_and_the_run_says_so() -> None:
    result = result_of(facts(order(Side.BUY, (4, "100.00"), filled=10)))
    assert (result.holding.bought, result.holding.buy_value, result.is_reconciled) == (10, Decimal("1000.0000"), False)
    assert add_up([result]).unreconciled_runs == 1


def test_slippage_is_what_was_lost_between_the_trigger_and_the_fill() -> None:
    entry = order(Side.BUY, (10, "100.50"), wanted="100.00")
    leave = order(Side.SELL, (10, "94.90"), wanted="95.00")
    assert (entry.slippage, leave.slippage) == (Decimal("5.00"), Decimal("1.00"))
    assert result_of(facts(entry, leave)).slippage == Decimal("6.00")
    assert order(Side.SELL, (10, "95.50"), wanted="95.00").slippage == Decimal("-5.00")
    assert result_of(facts(entry, order(Side.SELL, (10, "94.90")))).slippage is None, "a part that is unknown is not zero"


def test_an_open_run_without_a_price_makes_the_open_result_unknown() -> None:
    holds = order(Side.BUY, (10, "100"))
    priced = result_of(facts(holds, is_ended=False, end_reason=None, last_price=Decimal(101)))
    unpriced = result_of(facts(holds, is_ended=False, end_reason=None))
    assert add_up([priced]).open_pnl == Decimal("10.00")
    sums = add_up([priced, unpriced])
    assert (sums.open_pnl, sums.unpriced_runs, sums.open_runs, sums.traded_runs) == (None, 1, 2, 0)


def test_a_derivative_among_the_runs_makes_charges_and_net_unknown() -> None:
    share = result_of(facts(order(Side.BUY, (1, "100")), order(Side.SELL, (1, "100"))))
    future = result_of(facts(order(Side.BUY, (1, "100")), order(Side.SELL, (1, "101")), product=Product.NRML, exchange="NFO"))
    sums = add_up([share, future])
    assert (sums.charges, sums.net, sums.uncharged_runs, sums.realised) == (None, None, 1, Decimal("1.00"))
    assert not curve_of([share, future]).is_net


def test_a_trade_that_earned_less_than_its_charges_is_no_win() -> None:
    sums = add_up([result_of(facts(order(Side.BUY, (100, "1000.00")), order(Side.SELL, (100, "1000.05"))))])
    assert (sums.realised, sums.winning_runs, sums.losing_runs, sums.win_rate) == (Decimal("5.00"), 0, 1, 0)


def test_lateness_is_told_by_rank() -> None:
    results = [result_of(facts(entry_late_ms=late, exit_late_ms=None)) for late in range(1, 101)]
    late = add_up(results).lateness
    assert (late.orders, late.median_ms, late.p95_ms, late.worst_ms) == (100, 50, 95, 100)
    assert add_up([]).lateness.median_ms is None


def test_endings_are_counted_by_reason() -> None:
    runs = [facts(end_reason=EndReason.STOP_LOSS), facts(end_reason=EndReason.STOP_LOSS), facts(end_reason=EndReason.MISSED)]
    assert add_up([result_of(run) for run in runs]).end_reasons == ((EndReason.STOP_LOSS, 2), (EndReason.MISSED, 1))
