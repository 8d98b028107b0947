"""Risk limits: what is refused, what may leave together, and when a day's loss is enough."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from trading.risk import (
    NO_LIMITS,
    Candidate,
    DayLoss,
    Limits,
    Marked,
    RiskCode,
    Usage,
    Verdict,
    admit,
    day_loss,
    judge_loss,
    refuse,
)
from trading.runs import ZERO, Holding

ALL = Limits(Decimal(1000), Decimal(2500), 3, Decimal(500))
PAISA = Decimal("0.01")


def rupees(text: str) -> Decimal:
    return Decimal(text)


REFUSALS = [
    ("within every limit", Usage(), rupees("1000"), None),
    ("a paisa above the order value", Usage(), rupees("1000.01"), RiskCode.ORDER_VALUE),
    ("fills the open value to the paisa", Usage(open_value=rupees("1500")), rupees("1000"), None),
    ("a paisa above the open value", Usage(open_value=rupees("1500.01")), rupees("1000"), RiskCode.OPEN_VALUE),
    ("the last order of the day", Usage(orders_today=2), rupees("1"), None),
    ("one order more than the day has", Usage(orders_today=3), rupees("1"), RiskCode.ORDERS_PER_DAY),
    ("a paisa below the day's loss", Usage(realised_loss=rupees("499.99")), rupees("1"), None),
    ("at the day's loss", Usage(realised_loss=rupees("500")), rupees("1"), RiskCode.DAILY_LOSS),
    ("without a price values are not judged", Usage(open_value=rupees("9999")), None, None),
    ("without a price orders are counted all the same", Usage(orders_today=3), None, RiskCode.ORDERS_PER_DAY),
]


@pytest.mark.parametrize(("what", "usage", "value", "code"), REFUSALS, ids=[case[0] for case in REFUSALS])
def test_an_entry_is_refused_beyond_a_limit_and_not_at_it(
    what: str, usage: Usage, value: Decimal | None, code: RiskCode | None
) -> None:
    refusal = refuse(ALL, usage, value)
    assert (refusal and refusal.code) == code


def test_without_limits_nothing_is_refused() -> None:
    assert refuse(NO_LIMITS, Usage(Decimal(10**12), 10**6, Decimal(10**9)), Decimal(10**12)) is None
    assert not NO_LIMITS.is_any_set


def test_a_refusal_says_both_figures() -> None:
    refusal = refuse(ALL, Usage(), rupees("36180"))
    assert refusal is not None
    assert refusal.message == "the order may cost ₹36,180.00, the limit is ₹1,000.00"


def test_what_an_account_leaves_open_is_taken_from_the_defaults() -> None:
    own = Limits(max_order_value=Decimal(50), square_off_on_loss=True)
    assert own.or_else(ALL) == Limits(Decimal(50), Decimal(2500), 3, Decimal(500), square_off_on_loss=True)
    assert Limits(max_daily_loss=Decimal(9)).or_else(NO_LIMITS) == Limits(max_daily_loss=Decimal(9))


def test_a_large_entry_that_is_refused_takes_no_room_from_a_small_one_behind_it() -> None:
    entries = [Candidate("a", rupees("900")), Candidate("b", rupees("1000.01")), Candidate("c", rupees("1000"))]
    admission = admit(ALL, Usage(), entries)
    assert admission.admitted == {"a", "c"}
    assert [(order_id, refusal.code) for order_id, refusal in admission.refused.items()] == [("b", RiskCode.ORDER_VALUE)]


values = some.lists(some.decimals(min_value=1, max_value=2000, places=2), max_size=12)


@given(values, some.decimals(min_value=0, max_value=3000, places=2), some.integers(min_value=0, max_value=4))
def test_what_is_admitted_never_exceeds_a_limit_together(wanted: list[Decimal], held: Decimal, sent: int) -> None:
    entries = [Candidate(str(number), value) for number, value in enumerate(wanted)]
    admission = admit(ALL, Usage(open_value=held, orders_today=sent), entries)
    chosen = [entry.value for entry in entries if entry.order_id in admission.admitted]
    assert not chosen or held + sum(chosen) <= 2500
    assert not chosen or sent + len(chosen) <= 3
    assert all(value <= 1000 for value in chosen)
    assert admission.admitted | set(admission.refused) == {entry.order_id for entry in entries}
    assert not admission.admitted & set(admission.refused)


# --- the day's loss ---------------------------------------------------------------------------------------------------

STOP = Decimal(90)
HELD = Holding(bought=10, buy_value=Decimal(1000))


def test_the_days_loss_is_what_was_realised_and_what_is_open() -> None:
    sold = Holding(bought=10, buy_value=Decimal(1000), sold=10, sell_value=Decimal(950))
    loss = day_loss([Marked(sold, STOP), Marked(HELD, STOP, price=Decimal(97))])
    assert loss == DayLoss(Decimal(80), is_certain=True)


def test_a_profit_is_a_negative_loss_and_makes_up_for_another_runs_loss() -> None:
    assert day_loss([Marked(HELD, STOP, price=Decimal(110))]).assumed == -100
    assert day_loss([Marked(HELD, STOP, price=Decimal(110)), Marked(HELD, STOP, price=Decimal(91))]).assumed == -10


@pytest.mark.parametrize(
    ("last_seen", "loss"),
    [(None, Decimal(100)), (Decimal(99), Decimal(100)), (Decimal(85), Decimal(150))],
    ids=["never seen", "seen above the stop", "seen below the stop"],
)
def test_a_missing_price_is_never_no_loss(last_seen: Decimal | None, loss: Decimal) -> None:
    assert day_loss([Marked(HELD, STOP, last_seen=last_seen)]) == DayLoss(loss, is_certain=False)


def test_a_run_that_holds_nothing_needs_no_price() -> None:
    assert day_loss([Marked(Holding(), STOP)]) == DayLoss(ZERO, is_certain=True)


SELLS = Limits(max_daily_loss=Decimal(100), square_off_on_loss=True)
LOCKS = Limits(max_daily_loss=Decimal(100))


def tripped(limits: Limits, at: str) -> Limits:
    return Limits(max_daily_loss=limits.max_daily_loss, square_off_on_loss=limits.square_off_on_loss, loss_at_trip=Decimal(at))


JUDGED = [
    ("below the limit", LOCKS, "99.99", True, False, Verdict.NOTHING),
    ("at the limit", LOCKS, "100", True, False, Verdict.LOCK),
    ("at the limit, on assumed prices", LOCKS, "100", False, False, Verdict.LOCK),
    ("at the limit, selling was chosen", SELLS, "100", True, False, Verdict.SELL),
    ("selling was chosen, but a price is assumed", SELLS, "100", False, False, Verdict.LOCK),
    ("no limit", NO_LIMITS, "1000000", True, False, Verdict.NOTHING),
    ("tripped and reset: the same loss does nothing", tripped(LOCKS, "105"), "105", True, False, Verdict.NOTHING),
    ("tripped and reset: nearly another limit's worth", tripped(LOCKS, "105"), "204.99", True, False, Verdict.NOTHING),
    ("tripped and reset: another limit's worth", tripped(LOCKS, "105"), "205", True, False, Verdict.LOCK),
    ("tripped on assumed prices that turn out true", tripped(SELLS, "105"), "105", True, True, Verdict.SELL),
    ("tripped on assumed prices, still assumed", tripped(SELLS, "105"), "105", False, True, Verdict.NOTHING),
    ("tripped on assumed prices that turn out better", tripped(SELLS, "105"), "104.99", True, True, Verdict.NOTHING),
    ("tripped, and only locking was chosen", tripped(LOCKS, "105"), "105", True, True, Verdict.NOTHING),
]


@pytest.mark.parametrize(
    ("what", "limits", "loss", "is_certain", "is_locked", "verdict"), JUDGED, ids=[case[0] for case in JUDGED]
)
def test_the_days_loss_is_judged(
    what: str, limits: Limits, loss: str, is_certain: bool, is_locked: bool, verdict: Verdict
) -> None:
    assert judge_loss(limits, DayLoss(Decimal(loss), is_certain), is_locked=is_locked) is verdict
