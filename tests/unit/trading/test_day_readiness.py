from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from trading.accounts import Environment
from trading.day_readiness import Address, Check, CheckState, Facts, Feed, Login, Planned, Verdict, judge, verdict_of
from trading.instruments import Product

DAY = date(2026, 11, 20)
LAST_EXIT = datetime(2026, 11, 20, 9, 40, tzinfo=UTC)
PLAN = Planned("str_1", "TCS", Product.MIS, 10, Decimal(3500), LAST_EXIT, last_price=Decimal(3550))
FINE = Facts(
    day=DAY,
    environment=Environment.LIVE,
    planned=(PLAN,),
    login=Login(True, LAST_EXIT + timedelta(hours=14), True),
    instruments_of=DAY,
    feed=Feed(True),
    clock_error="",
    address=Address("203.0.113.7", "203.0.113.7"),
    funds=Decimal(100_000),
)


def found(facts: Facts, name: str) -> Check:
    return next(check for check in judge(facts) if check.name == name)


def test_an_account_with_everything_in_order_is_ready_and_needs_no_advice() -> None:
    checks = judge(FINE)
    assert {check.state for check in checks} == {CheckState.OK}
    assert not any(check.advice for check in checks)
    assert [check.name for check in checks] == ["login", "instruments", "feed", "clock", "static_ip", "funds", "stop"]
    assert verdict_of(FINE, checks) is Verdict.READY


@pytest.mark.parametrize(
    ("name", "facts", "words"),
    [
        ("login", replace(FINE, login=Login(False, None, False)), "not logged in"),
        ("login", replace(FINE, login=Login(True, LAST_EXIT + timedelta(hours=14), False)), "does not accept"),
        ("login", replace(FINE, login=Login(True, LAST_EXIT, True)), "ends at 20 Nov 15:10, before the last exit at 15:10"),
        ("instruments", replace(FINE, instruments_of=None), "No instrument list"),
        ("instruments", replace(FINE, planned=(replace(PLAN, is_listed=False),)), "TCS"),
        ("feed", replace(FINE, feed=Feed(False, "silent for 7 s")), "silent for 7 s"),
        ("clock", replace(FINE, clock_error="at least 250 ms ahead of the database"), "250 ms"),
        ("static_ip", replace(FINE, address=Address("203.0.113.7", "198.51.100.1")), "198.51.100.1"),
        ("funds", replace(FINE, funds=Decimal(7_000)), "₹7,000.00 available"),
        ("funds", replace(FINE, planned=(replace(PLAN, product=Product.CNC),), funds=Decimal(30_000)), "₹35,500.00"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(name: str, facts: Facts, words: str) -> None:
    check = found(facts, name)
    assert (check.state, bool(check.advice)) == (CheckState.FAILED, True)
    assert words in check.found
    assert verdict_of(facts, judge(facts)) is Verdict.NOT_READY


@pytest.mark.parametrize(
    ("name", "facts", "state"),
    [
        ("login", replace(FINE, login=Login(True, LAST_EXIT + timedelta(hours=1), None, "timeout")), CheckState.UNKNOWN),
        ("feed", replace(FINE, feed=Feed(None, "Redis does not answer")), CheckState.UNKNOWN),
        ("static_ip", replace(FINE, address=Address("203.0.113.7", None)), CheckState.UNKNOWN),
        ("static_ip", replace(FINE, address=Address("", "203.0.113.7")), CheckState.UNKNOWN),
        ("funds", replace(FINE, funds=None), CheckState.UNKNOWN),
        ("funds", replace(FINE, planned=(replace(PLAN, last_price=None),)), CheckState.UNKNOWN),
        ("funds", replace(FINE, funds=Decimal(10_000)), CheckState.WARNING),
        ("instruments", replace(FINE, instruments_of=DAY - timedelta(days=1)), CheckState.WARNING),
        ("stop", replace(FINE, planned=(replace(PLAN, last_price=Decimal(3500)),)), CheckState.WARNING),
    ],
)
def test_what_cannot_be_read_or_may_go_wrong_is_neither_fine_nor_failed(name: str, facts: Facts, state: CheckState) -> None:
    assert found(facts, name).state is state
    assert verdict_of(facts, judge(facts)) is Verdict.LOOK


def test_each_price_below_its_stop_is_named_with_its_strategy() -> None:
    low = replace(PLAN, strategy_id="str_2", symbol="INFY", last_price=Decimal(3499))
    stops = [check for check in judge(replace(FINE, planned=(PLAN, low))) if check.name == "stop"]
    assert [(check.strategy_id, check.state) for check in stops] == [("str_2", CheckState.WARNING)]


def test_what_is_held_already_needs_neither_money_nor_a_price() -> None:
    held = replace(FINE, planned=(replace(PLAN, has_bought=True, last_price=None),), funds=Decimal(0))
    assert verdict_of(held, judge(held)) is Verdict.READY


def test_a_simulated_account_needs_no_registered_address() -> None:
    facts = replace(FINE, environment=Environment.SIMULATED, address=Address("", None))
    assert verdict_of(facts, judge(facts)) is Verdict.READY


def test_an_account_with_nothing_planned_is_idle_whatever_its_login() -> None:
    facts = replace(FINE, planned=(), login=Login(False, None, False))
    assert verdict_of(facts, judge(facts)) is Verdict.IDLE
