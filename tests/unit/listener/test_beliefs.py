from datetime import UTC, datetime
from decimal import Decimal

import pytest

from listener.beliefs import Beliefs, Verdict
from trading.instruments import Instrument, InstrumentId, Segment
from trading.ports.broker import Tick

TCS = InstrumentId("NSE", "TCS")
AT = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)


def tick(price: str) -> Tick:
    return Tick(TCS, Decimal(price), AT)


def listed(lower: str | None, upper: str | None) -> Instrument:
    limits = [Decimal(limit) if limit else None for limit in (lower, upper)]
    return Instrument(TCS, "", Segment.CASH, Decimal("0.05"), lower_circuit=limits[0], upper_circuit=limits[1])


@pytest.fixture
def beliefs() -> Beliefs:
    with_limits = Beliefs()
    with_limits.learn(listed("3240", "3960"))
    return with_limits


def verdicts(beliefs: Beliefs, *prices: str) -> list[Verdict]:
    return [beliefs.judge(tick(price), now=0) for price in prices]


@pytest.mark.parametrize("price", ["0", "-0.05"])
def test_a_price_that_is_not_positive_is_dropped_with_or_without_limits(beliefs: Beliefs, price: str) -> None:
    assert verdicts(beliefs, price) == [Verdict.DROPPED]
    assert verdicts(Beliefs(), price) == [Verdict.DROPPED]


def test_prices_at_the_circuit_limits_are_believed(beliefs: Beliefs) -> None:
    assert verdicts(beliefs, "3240", "3960") == [Verdict.BELIEVED] * 2


def test_a_price_outside_the_limits_waits_for_a_second_tick(beliefs: Beliefs) -> None:
    assert verdicts(beliefs, "3000", "3000") == [Verdict.SUSPECT, Verdict.BELIEVED]


def test_a_usual_price_in_between_ends_the_suspicion(beliefs: Beliefs) -> None:
    assert verdicts(beliefs, "3000", "3500", "3000") == [Verdict.SUSPECT, Verdict.BELIEVED, Verdict.SUSPECT]


def test_a_confirmed_price_widens_the_limits_no_further_than_itself(beliefs: Beliefs) -> None:
    assert verdicts(beliefs, "3000", "3000", "3100", "2900") == [
        Verdict.SUSPECT,
        Verdict.BELIEVED,
        Verdict.BELIEVED,
        Verdict.SUSPECT,
    ]


def test_a_quote_outside_confirms_and_one_inside_does_not(beliefs: Beliefs) -> None:
    verdicts(beliefs, "3000")
    assert not beliefs.settle(tick("3500"))
    assert beliefs.suspects() == ()
    verdicts(beliefs, "3000")
    assert beliefs.settle(tick("3010"))
    assert verdicts(beliefs, "3010") == [Verdict.BELIEVED]


def test_without_limits_a_fall_of_more_than_a_fifth_waits_for_a_witness() -> None:
    assert verdicts(Beliefs(), "3500", "2800", "2240", "1000") == [
        Verdict.BELIEVED,
        Verdict.BELIEVED,
        Verdict.BELIEVED,
        Verdict.SUSPECT,
    ]


def test_an_instrument_without_limits_keeps_its_assumed_ones_when_its_rules_are_read() -> None:
    beliefs = Beliefs()
    verdicts(beliefs, "3500")
    beliefs.learn(listed(None, None))
    assert verdicts(beliefs, "1000") == [Verdict.SUSPECT]


def test_the_same_published_limits_again_do_not_undo_what_was_confirmed(beliefs: Beliefs) -> None:
    verdicts(beliefs, "3000", "3000")
    beliefs.learn(listed("3240", "3960"))
    assert verdicts(beliefs, "3000") == [Verdict.BELIEVED]
    beliefs.learn(listed("3300", "3960"))
    assert verdicts(beliefs, "3000") == [Verdict.SUSPECT]


def test_what_is_forgotten_is_not_suspected_any_more(beliefs: Beliefs) -> None:
    verdicts(beliefs, "3000")
    beliefs.forget(TCS)
    assert beliefs.suspects() == ()
    assert verdicts(beliefs, "3000") == [Verdict.SUSPECT]
