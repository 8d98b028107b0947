from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.trailing import Trail, raises_at, trail_of, trailed

TICK = Decimal("0.05")
STOP = Decimal(3500)

ticks = st.sampled_from([Decimal("0.01"), Decimal("0.05"), Decimal("0.10"), Decimal(1)])
trails = st.one_of(
    st.integers(1, 4_000).map(lambda steps: Trail(rupees=steps * TICK)),
    st.decimals(min_value="0.01", max_value="99.99", places=2).map(lambda percent: Trail(percent=percent)),
)


@pytest.mark.parametrize(
    ("trail", "highest", "expected"),
    [
        (Trail(rupees=Decimal(25)), "3600", "3575"),
        (Trail(rupees=Decimal(25)), "3600.07", "3575.05"),
        (Trail(percent=Decimal(1)), "3600", "3564"),
        (Trail(percent=Decimal("1.5")), "3601.10", "3547.05"),
        (Trail(rupees=Decimal(25)), "3525", "3500"),
        (Trail(rupees=Decimal(4000)), "3600", "3500"),
    ],
    ids=[
        "rupees",
        "rounded down to the tick",
        "percent",
        "a percentage is rounded too",
        "not above it yet",
        "longer than the price",
    ],
)
def test_the_stop_follows_the_highest_price(trail: Trail, highest: str, expected: str) -> None:
    assert trailed(STOP, trail=trail, highest=Decimal(highest), tick_size=TICK) == Decimal(expected)


def test_a_distance_is_given_one_way() -> None:
    assert trail_of(None, None) is None
    assert trail_of(Decimal(5), None) == Trail(rupees=Decimal(5))
    for both_or_none in ((Decimal(5), Decimal(1)), (None, None)):
        with pytest.raises(ValueError, match="rupees or by percent"):
            Trail(*both_or_none)


@given(trails, ticks, st.lists(st.integers(1, 200_000), min_size=1, max_size=8))
def test_it_is_never_lowered_and_stands_on_the_tick(trail: Trail, tick: Decimal, steps: list[int]) -> None:
    stop = tick * 10
    for step in steps:
        highest = step * tick
        raised = trailed(stop, trail=trail, highest=highest, tick_size=tick)
        assert raised >= stop
        assert raised % tick == 0
        assert raised == stop or raised < highest
        stop = raised


@given(trails, ticks, st.integers(1, 200_000))
def test_the_next_price_that_raises_it_is_the_lowest_that_does(trail: Trail, tick: Decimal, step: int) -> None:
    stop = step * tick
    price = raises_at(stop, trail=trail, tick_size=tick)
    assert price % tick == 0
    assert trailed(stop, trail=trail, highest=price, tick_size=tick) > stop
    assert trailed(stop, trail=trail, highest=price - tick, tick_size=tick) == stop


def test_a_distance_of_the_whole_price_never_raises_it() -> None:
    assert raises_at(STOP, trail=Trail(percent=Decimal(100)), tick_size=TICK) == Decimal("Infinity")
