import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.orders import Leg
from trading.tags import TAG_LENGTH, make_tag

DAYS = st.dates(date(2026, 1, 1), date(2035, 12, 31))
RUNS = st.text("0123456789abcdefghjkmnpqrstvwxyz", min_size=26, max_size=26).map("run_".__add__)
LEGS = st.sampled_from(list(Leg))
ATTEMPTS = st.integers(1, 1295)


@given(run_id=st.text(), leg=LEGS, attempt=ATTEMPTS, day=DAYS)
def test_a_tag_is_twenty_characters_that_every_broker_keeps(run_id: str, leg: Leg, attempt: int, day: date) -> None:
    tag = make_tag(run_id, leg=leg, attempt=attempt, trading_day=day)
    assert len(tag) == TAG_LENGTH == 20
    assert re.fullmatch(r"[a-z0-9]+", tag)


@given(run_id=RUNS, leg=LEGS, attempt=ATTEMPTS, day=DAYS)
def test_the_same_attempt_always_gets_the_same_tag(run_id: str, leg: Leg, attempt: int, day: date) -> None:
    assert make_tag(run_id, leg=leg, attempt=attempt, trading_day=day) == make_tag(
        str(run_id), leg=Leg(leg.value), attempt=attempt, trading_day=date.fromisoformat(day.isoformat())
    )


@given(st.lists(st.tuples(RUNS, LEGS, ATTEMPTS, DAYS), unique=True, min_size=2, max_size=50))
def test_different_attempts_get_different_tags(attempts: list[tuple[str, Leg, int, date]]) -> None:
    tags = {make_tag(run_id, leg=leg, attempt=number, trading_day=day) for run_id, leg, number, day in attempts}
    assert len(tags) == len(attempts)


def test_all_attempts_of_many_runs_on_one_day_differ() -> None:
    day = date(2026, 11, 20)
    tags = [
        make_tag(f"run_{number:026d}", leg=leg, attempt=attempt, trading_day=day)
        for number in range(500)
        for leg in Leg
        for attempt in range(1, 41)
    ]
    assert len(set(tags)) == len(tags)


def test_a_tag_tells_a_person_day_leg_and_attempt() -> None:
    tag = make_tag("run_01jb3m0000000000000000000a", leg=Leg.EXIT, attempt=37, trading_day=date(2026, 11, 20))
    assert tag[:7] == "t324s11"


def test_a_tag_is_the_one_older_code_made() -> None:
    """Orders in doubt are found by their tag by whatever version runs after a restart: the recipe never changes."""
    tag = make_tag("run_01jb3m0000000000000000000a", leg=Leg.ENTRY, attempt=1, trading_day=date(2026, 11, 20))
    assert tag == "t324b01ennji5udjtoy5"


@pytest.mark.parametrize("attempt", [0, -1])
def test_an_attempt_is_counted_from_one(attempt: int) -> None:
    with pytest.raises(ValueError, match="attempt"):
        make_tag("run_x", leg=Leg.EXIT, attempt=attempt, trading_day=date(2026, 11, 20))


def test_an_exit_that_is_tried_all_day_never_runs_out_of_tags() -> None:
    day = date(2026, 11, 20)
    tags = {make_tag("run_x", leg=Leg.EXIT, attempt=attempt, trading_day=day) for attempt in range(1, 5_001)}
    assert len(tags) == 5_000
    assert all(re.fullmatch(r"[a-z0-9]{20}", tag) for tag in tags)
