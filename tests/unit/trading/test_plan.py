from dataclasses import replace
from datetime import date, time
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.trading.samples import (
    FRIDAY,
    FUTURE,
    INDEX,
    SHARE,
    SHARE_WITH_DERIVATIVES,
    TICK_SIZES,
    USUAL_PLAN,
    muhurat,
    regular,
)
from trading.instruments import Instrument, Product
from trading.plan import Plan, PlanProblemCode, check_plan, effective_sell_time, stop_problem
from trading.sessions import ALL_DAY, Session, session_of
from trading.trailing import Trail

REGULAR = session_of(SHARE, regular(FRIDAY))
WITHOUT_FREEZE = replace(SHARE, freeze_quantity=None)


def codes(plan: Plan, *, instrument: Instrument = SHARE, session: Session = REGULAR) -> list[PlanProblemCode]:
    return [problem.code for problem in check_plan(plan, instrument=instrument, session=session)]


@pytest.mark.parametrize(
    ("instrument", "advanced_to"), [(SHARE_WITH_DERIVATIVES, time(15, 10)), (SHARE, time(15, 20))], ids=["with", "without"]
)
def test_a_sell_time_at_the_close_is_accepted_and_advanced(instrument: Instrument, advanced_to: time) -> None:
    session = session_of(instrument, regular(FRIDAY))
    assert check_plan(USUAL_PLAN, instrument=instrument, session=session) == ()
    assert USUAL_PLAN.sell_time == time(15, 30)
    assert effective_sell_time(USUAL_PLAN, session) == advanced_to


def test_an_earlier_sell_time_is_kept() -> None:
    assert effective_sell_time(replace(USUAL_PLAN, sell_time=time(14, 0)), REGULAR) == time(14, 0)


@pytest.mark.parametrize(
    ("plan", "instrument", "code"),
    [
        (replace(USUAL_PLAN, quantity=0), SHARE, PlanProblemCode.INVALID_QUANTITY),
        (replace(USUAL_PLAN, quantity=-5), SHARE, PlanProblemCode.INVALID_QUANTITY),
        (replace(USUAL_PLAN, quantity=176), FUTURE, PlanProblemCode.QUANTITY_NOT_IN_LOTS),
        (replace(USUAL_PLAN, quantity=40_001), SHARE, PlanProblemCode.QUANTITY_ABOVE_FREEZE),
        (replace(USUAL_PLAN, quantity=100_001), WITHOUT_FREEZE, PlanProblemCode.QUANTITY_ABOVE_FREEZE),
        (replace(USUAL_PLAN, stop_loss=Decimal(0)), SHARE, PlanProblemCode.INVALID_STOP_LOSS),
        (replace(USUAL_PLAN, stop_loss=Decimal("-3500")), SHARE, PlanProblemCode.INVALID_STOP_LOSS),
        (replace(USUAL_PLAN, stop_loss=Decimal("NaN")), SHARE, PlanProblemCode.INVALID_STOP_LOSS),
        (replace(USUAL_PLAN, stop_loss=Decimal("Infinity")), SHARE, PlanProblemCode.INVALID_STOP_LOSS),
        (replace(USUAL_PLAN, stop_loss=Decimal("3500.03")), SHARE, PlanProblemCode.STOP_LOSS_OFF_TICK),
        (replace(USUAL_PLAN, target_price=Decimal(0)), SHARE, PlanProblemCode.INVALID_TARGET_PRICE),
        (replace(USUAL_PLAN, target_price=Decimal("Infinity")), SHARE, PlanProblemCode.INVALID_TARGET_PRICE),
        (replace(USUAL_PLAN, target_price=Decimal("3700.03")), SHARE, PlanProblemCode.TARGET_PRICE_OFF_TICK),
        (replace(USUAL_PLAN, target_price=USUAL_PLAN.stop_loss), SHARE, PlanProblemCode.TARGET_NOT_ABOVE_STOP),
        (replace(USUAL_PLAN, trail=Trail(rupees=Decimal(0))), SHARE, PlanProblemCode.INVALID_TRAILING_STOP),
        (replace(USUAL_PLAN, trail=Trail(rupees=Decimal("5.03"))), SHARE, PlanProblemCode.INVALID_TRAILING_STOP),
        (replace(USUAL_PLAN, trail=Trail(percent=Decimal(100))), SHARE, PlanProblemCode.INVALID_TRAILING_STOP),
        (replace(USUAL_PLAN, trail=Trail(percent=Decimal("NaN"))), SHARE, PlanProblemCode.INVALID_TRAILING_STOP),
        (replace(USUAL_PLAN, buy_time=time(9, 14, 59)), SHARE, PlanProblemCode.BUY_BEFORE_OPEN),
        (replace(USUAL_PLAN, sell_time=time(15, 30, 1)), SHARE, PlanProblemCode.SELL_AFTER_CLOSE),
        (replace(USUAL_PLAN, sell_time=time(9, 20)), SHARE, PlanProblemCode.BUY_NOT_BEFORE_SELL),
        (replace(USUAL_PLAN, buy_time=time(15, 20)), SHARE, PlanProblemCode.BUY_NOT_BEFORE_SELL),
        (replace(USUAL_PLAN, product=Product.NRML), SHARE, PlanProblemCode.PRODUCT_NOT_ALLOWED),
        (replace(USUAL_PLAN, product=Product.CNC, quantity=175), FUTURE, PlanProblemCode.PRODUCT_NOT_ALLOWED),
        (USUAL_PLAN, INDEX, PlanProblemCode.NOT_TRADABLE),
        (replace(USUAL_PLAN, max_lateness_seconds=-1), SHARE, PlanProblemCode.INVALID_MAX_LATENESS),
    ],
    ids=lambda value: value.value if isinstance(value, PlanProblemCode) else "",
)
def test_each_problem_is_named_alone(plan: Plan, instrument: Instrument, code: PlanProblemCode) -> None:
    session = session_of(instrument, regular(FRIDAY))
    assert codes(plan, instrument=instrument, session=session) == [code]


def test_no_problem_code_is_left_untested() -> None:
    table = next(mark for mark in test_each_problem_is_named_alone.pytestmark if mark.name == "parametrize")  # type: ignore[attr-defined]
    assert {code for _, _, code in table.args[1]} == set(PlanProblemCode)


@pytest.mark.parametrize(
    "plan",
    [
        replace(USUAL_PLAN, product=Product.CNC),
        replace(USUAL_PLAN, quantity=40_000),
        replace(USUAL_PLAN, quantity=1),
        replace(USUAL_PLAN, buy_time=time(9, 15)),
        replace(USUAL_PLAN, buy_time=time(15, 19, 59)),
        replace(USUAL_PLAN, max_lateness_seconds=0),
        replace(USUAL_PLAN, stop_loss=Decimal("0.05")),
    ],
)
def test_values_at_the_very_edge_are_accepted(plan: Plan) -> None:
    assert codes(plan) == []


@pytest.mark.parametrize("freeze", [None, 150_000])
def test_a_large_order_is_fine_where_the_exchange_allows_it_and_only_there(freeze: int | None) -> None:
    large = replace(USUAL_PLAN, quantity=150_000)
    assert (codes(large, instrument=replace(SHARE, freeze_quantity=freeze)) == []) is (freeze is not None)


def test_a_problem_names_its_field_and_the_value() -> None:
    problem = check_plan(replace(USUAL_PLAN, quantity=0), instrument=SHARE, session=REGULAR)[0]
    assert (problem.field, problem.message) == ("quantity", "quantity must be at least 1, was 0")


def test_all_problems_are_told_at_once() -> None:
    wrong = replace(USUAL_PLAN, quantity=0, stop_loss=Decimal(0), sell_time=time(9, 0), product=Product.NRML)
    assert codes(wrong) == [
        PlanProblemCode.INVALID_QUANTITY,
        PlanProblemCode.INVALID_STOP_LOSS,
        PlanProblemCode.BUY_NOT_BEFORE_SELL,
        PlanProblemCode.PRODUCT_NOT_ALLOWED,
    ]


# The API takes no price above ten million.
STOPS = st.decimals(-10_000_000, 10_000_000) | st.sampled_from([Decimal(text) for text in ("NaN", "Infinity", "-Infinity", "-0")])


@given(stop=STOPS, tick=st.sampled_from(TICK_SIZES))
@example(stop=Decimal("sNaN"), tick=Decimal("0.05"))
@example(stop=Decimal("-sNaN"), tick=Decimal("0.05"))
def test_a_stop_is_judged_and_never_breaks_the_judge(stop: Decimal, tick: Decimal) -> None:
    problem = stop_problem(stop, tick)
    if problem is None:
        assert stop > 0
        assert stop % tick == 0


@given(st.times(), st.times())
def test_a_plan_that_is_accepted_buys_before_it_sells_within_the_session(buy_time: time, sell_time: time) -> None:
    plan = replace(USUAL_PLAN, buy_time=buy_time, sell_time=sell_time)
    if codes(plan) == []:
        assert REGULAR.opens <= buy_time < effective_sell_time(plan, REGULAR) <= REGULAR.last_safe_exit


def test_an_exchange_that_never_closes_takes_any_order_of_times() -> None:
    plan = replace(USUAL_PLAN, buy_time=time(0, 0), sell_time=time(23, 59, 59))
    assert codes(plan, session=ALL_DAY) == []
    assert effective_sell_time(plan, ALL_DAY) == time(23, 59, 59)


def test_a_day_plan_does_not_fit_the_evening_session() -> None:
    evening = session_of(SHARE, muhurat(date(2026, 11, 8)))
    assert PlanProblemCode.BUY_BEFORE_OPEN in codes(USUAL_PLAN, session=evening)
