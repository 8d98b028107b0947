from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.beliefs import Beliefs
from listener.intake import Intake
from listener.triggers import Crossing, Triggers, WatchedStop
from runtime.metrics import PrometheusMetrics
from tests.listener.fakes import START, HeldClock
from trading.instruments import Instrument, InstrumentId, Segment
from trading.ports.broker import Tick

TCS = InstrumentId("NSE", "TCS")


@dataclass
class Taken:
    """An intake and what it reported."""

    crossed: list[Crossing] = field(default_factory=list)
    clock: HeldClock = field(default_factory=HeldClock)

    def __post_init__(self) -> None:
        self.metrics = PrometheusMetrics()
        self.intake = Intake(triggers=Triggers(), beliefs=Beliefs(), on_crossed=self.note, clock=self.clock, metrics=self.metrics)

    def note(self, crossings: Sequence[Crossing]) -> None:
        self.crossed += crossings

    @property
    def runs(self) -> list[str]:
        return [crossing.stop.run_id for crossing in self.crossed]


@pytest.fixture
def taken() -> Taken:
    return Taken()


def stop(run_id: str = "run_1", price: str = "3500", *, armed: float = 0) -> WatchedStop:
    return WatchedStop(run_id, "brk_1", TCS, Decimal(price), 1, START + timedelta(seconds=armed))


def tick(price: str, *, at: float = 1) -> Tick:
    return Tick(TCS, Decimal(price), START + timedelta(seconds=at))


def test_a_stop_learned_late_is_compared_with_the_price_that_came_after_it_was_armed(taken: Taken) -> None:
    taken.intake.take([tick("3499", at=2)])
    taken.intake.arm(stop(armed=1))
    assert taken.runs == ["run_1"]


def test_a_stop_is_not_compared_with_a_price_from_before_it_was_armed(taken: Taken) -> None:
    taken.intake.take([tick("3499", at=1)])
    taken.intake.arm(stop(armed=2))
    assert taken.runs == []
    taken.intake.take([tick("3499", at=3)])
    assert taken.runs == ["run_1"]


def test_no_crossing_of_a_batch_is_skipped_and_its_newest_price_is_kept(taken: Taken) -> None:
    taken.intake.arm(stop())
    taken.intake.take([tick("3600"), tick("3499"), tick("3601")])
    assert taken.runs == ["run_1"]
    assert taken.intake.take_changed() == {TCS: tick("3601")}
    assert taken.intake.take_changed() == {}


@given(st.lists(st.integers(min_value=3400, max_value=3600), min_size=1, max_size=60), st.integers(min_value=1, max_value=60))
def test_however_ticks_are_batched_the_lowest_of_them_decides(prices: list[int], size: int) -> None:
    taken = Taken()
    taken.intake.arm(stop())
    for start in range(0, len(prices), size):
        taken.intake.take([tick(str(price)) for price in prices[start : start + size]])
    assert taken.runs == (["run_1"] if min(prices) <= 3500 else [])


def test_an_odd_price_fires_nothing_and_is_nobody_s_price_until_a_second_tick(taken: Taken) -> None:
    taken.intake.arm(stop())
    taken.intake.take([tick("3600")])
    taken.intake.take_changed()
    taken.intake.take([tick("1")])
    assert taken.runs == []
    assert taken.intake.take_changed() == {}
    assert taken.intake.suspected.is_set()
    taken.intake.take([tick("2")])
    assert taken.runs == ["run_1"]


def test_a_quote_confirms_an_odd_price_or_ends_the_suspicion(taken: Taken) -> None:
    taken.intake.arm(stop())
    taken.intake.take([tick("3600"), tick("1")])
    taken.intake.take_quotes({TCS: Decimal(3590)})
    assert taken.runs == []
    assert not taken.intake.suspects()
    taken.intake.take([tick("1")])
    taken.intake.take_quotes({TCS: Decimal(1)})
    assert taken.runs == ["run_1"]


def test_prices_that_are_not_positive_are_dropped_and_counted(taken: Taken) -> None:
    taken.intake.arm(stop())
    taken.intake.take([tick("0"), tick("-1")])
    assert taken.runs == []
    assert 'algo_ticks_dropped_total{reason="not_positive"} 2.0' in taken.metrics.render().decode()


def test_an_unsubscribed_instrument_has_no_price_any_more(taken: Taken) -> None:
    taken.intake.take([tick("3499")])
    taken.intake.forget([TCS])
    taken.intake.arm(stop())
    assert taken.runs == []
    assert taken.intake.take_changed() == {}


def test_published_limits_are_taken_into_account(taken: Taken) -> None:
    limits = Instrument(TCS, "", Segment.CASH, Decimal("0.05"), lower_circuit=Decimal(3400), upper_circuit=Decimal(3800))
    taken.intake.beliefs.learn(limits)
    taken.intake.arm(stop())
    taken.intake.take([tick("3399.95")])
    assert taken.runs == []
    taken.intake.take([tick("3400")])
    assert taken.runs == ["run_1"]
