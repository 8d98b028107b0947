from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.trading.samples import SHARE, TICK_SIZES, prices
from trading.bands import WIDENING, band_percent, clamp_to_circuit, protected_limit, round_to_tick
from trading.instruments import Instrument
from trading.orders import Side

BOTH_SIDES = st.sampled_from(list(Side))
STEPS = st.integers(0, len(WIDENING) + 3)


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    """Any tick; circuit limits on or off the tick, or none, at least three ticks apart."""
    tick = draw(st.sampled_from(TICK_SIZES))
    lower = draw(st.none() | prices(least="0.05", most="90000"))
    upper = None
    if draw(st.booleans()):
        upper = (lower or Decimal("0.05")) + 3 * tick + draw(prices(least="0.00", most="10000"))
    return replace(SHARE, tick_size=tick, lower_circuit=lower, upper_circuit=upper)


@given(side=BOTH_SIDES, last_price=prices(), instrument=instruments(), step=STEPS)
def test_a_limit_is_a_positive_multiple_of_the_tick(side: Side, last_price: Decimal, instrument: Instrument, step: int) -> None:
    limit = protected_limit(side, last_price=last_price, instrument=instrument, step=step)
    assert limit > 0
    assert limit % instrument.tick_size == 0


@given(side=BOTH_SIDES, last_price=prices(), instrument=instruments(), step=STEPS)
def test_a_limit_lies_inside_the_circuit_limits(side: Side, last_price: Decimal, instrument: Instrument, step: int) -> None:
    limit = protected_limit(side, last_price=last_price, instrument=instrument, step=step)
    assert instrument.lower_circuit is None or limit >= instrument.lower_circuit
    assert instrument.upper_circuit is None or limit <= instrument.upper_circuit


@given(last_price=prices(), instrument=instruments(), step=STEPS)
def test_a_buy_reaches_up_and_a_sell_down_wherever_the_circuit_allows_it(
    last_price: Decimal, instrument: Instrument, step: int
) -> None:
    assume(last_price >= instrument.tick_size)
    assume(clamp_to_circuit(round_to_tick(last_price, instrument.tick_size, up=True), instrument) >= last_price)
    assume(clamp_to_circuit(round_to_tick(last_price, instrument.tick_size, up=False), instrument) <= last_price)
    assert protected_limit(Side.BUY, last_price=last_price, instrument=instrument, step=step) >= last_price
    assert protected_limit(Side.SELL, last_price=last_price, instrument=instrument, step=step) <= last_price


@given(last_price=prices(), tick=st.sampled_from(TICK_SIZES), step=STEPS)
def test_without_circuits_a_limit_reaches_at_least_its_band_and_at_most_one_tick_further(
    last_price: Decimal, tick: Decimal, step: int
) -> None:
    instrument = replace(SHARE, tick_size=tick)
    band = last_price * band_percent(last_price, step) / 100
    bought = protected_limit(Side.BUY, last_price=last_price, instrument=instrument, step=step)
    assert last_price + band <= bought < last_price + band + tick or bought == tick
    sold = protected_limit(Side.SELL, last_price=last_price, instrument=instrument, step=step)
    assert last_price - band - tick < sold <= last_price - band or sold == tick


@given(last_price=prices(), instrument=instruments(), step=st.integers(0, 10))
def test_widening_never_narrows_the_band(last_price: Decimal, instrument: Instrument, step: int) -> None:
    assert band_percent(last_price, step) <= band_percent(last_price, step + 1)
    for side, sign in ((Side.BUY, 1), (Side.SELL, -1)):
        now = protected_limit(side, last_price=last_price, instrument=instrument, step=step)
        then = protected_limit(side, last_price=last_price, instrument=instrument, step=step + 1)
        assert sign * then >= sign * now


@given(last_price=prices(), step=st.integers(len(WIDENING) - 1, 100))
def test_the_last_widening_is_kept(last_price: Decimal, step: int) -> None:
    assert band_percent(last_price, step) == band_percent(last_price, len(WIDENING) - 1)


@pytest.mark.parametrize(
    ("price", "percent"),
    [("99.95", "2"), ("100.00", "1"), ("499.95", "1"), ("500.00", "0.5"), ("3500.00", "0.5")],
)
def test_the_slab_follows_the_price(price: str, percent: str) -> None:
    assert band_percent(Decimal(price)) == Decimal(percent)


def test_a_stop_at_3500_sells_down_to_half_a_percent_below() -> None:
    assert protected_limit(Side.SELL, last_price=Decimal("3500"), instrument=SHARE) == Decimal("3482.50")
    assert protected_limit(Side.SELL, last_price=Decimal("3500"), instrument=SHARE, step=1) == Decimal("3465.00")


def test_a_sale_at_the_lower_circuit_rests_at_the_circuit_price() -> None:
    locked = replace(SHARE, lower_circuit=Decimal("3150.02"))
    assert protected_limit(Side.SELL, last_price=Decimal("3151"), instrument=locked, step=3) == Decimal("3150.05")


@pytest.mark.parametrize("broken", ["0", "-0.05", "-Infinity"])
def test_a_price_that_is_not_positive_is_refused(broken: str) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        protected_limit(Side.SELL, last_price=Decimal(broken), instrument=SHARE)


@pytest.mark.parametrize("broken", ["Infinity", "NaN"])
def test_a_price_that_is_no_number_is_refused(broken: str) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        protected_limit(Side.SELL, last_price=Decimal(broken), instrument=SHARE)


@pytest.mark.parametrize("tick", ["0", "-0.05"])
def test_a_tick_size_that_is_not_positive_is_refused(tick: str) -> None:
    with pytest.raises(ValueError, match="tick size must be positive"):
        round_to_tick(Decimal(100), Decimal(tick), up=True)
