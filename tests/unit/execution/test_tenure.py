"""How many leases a worker gives to others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.tenure import too_many


@pytest.mark.parametrize(
    ("held", "total", "workers", "given_away"),
    [
        (1000, 1000, 1, 0),
        (1000, 1000, 2, 500),
        (550, 1000, 2, 0),
        (551, 1000, 2, 51),
        (2, 2, 2, 0),
        (3, 3, 2, 0),
        (4, 4, 2, 2),
        (0, 0, 2, 0),
        (0, 10, 3, 0),
    ],
)
def test_what_lies_beyond_an_even_share_and_a_tenth_goes(held: int, total: int, workers: int, given_away: int) -> None:
    assert too_many(held, total=total, workers=workers) == given_away


@given(held=st.lists(st.integers(0, 500), min_size=1, max_size=6))
def test_sharing_comes_to_rest_and_nobody_is_left_with_less_than_a_share(held: list[int]) -> None:
    total = sum(held)
    for count in held:
        gone = too_many(count, total=total, workers=len(held))
        assert count - gone >= min(count, total // len(held))
        assert too_many(count - gone, total=total, workers=len(held)) == 0
