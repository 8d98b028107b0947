"""Who is armed how long before an instant, and how long after it a workflow leaves its desk alone."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from trading.lead import ARMED_PER_SECOND, HERD, HERDS_TURN, MOST_EARLIER, MOST_LATER, WOKEN_PER_SECOND, Lead

LEAD = Lead(base_seconds=5, jitter_seconds=5, deadline_seconds=30)


@given(st.text(min_size=1), st.integers(0, 100_000))
def test_nobody_is_armed_later_than_the_base_nor_earlier_than_all_that_may_be_added(strategy_id: str, place: int) -> None:
    assert timedelta(seconds=5) <= LEAD.before(strategy_id, place=place) <= timedelta(seconds=5 + 5) + MOST_EARLIER


def test_a_thousand_of_one_second_are_armed_over_as_long_as_it_takes() -> None:
    alike = replace(LEAD, jitter_seconds=0)
    leads = sorted(alike.before(f"str_{place}", place=place) for place in range(1_000))
    for begin in range(0, 1_000 - ARMED_PER_SECOND):
        assert leads[begin + ARMED_PER_SECOND] - leads[begin] >= timedelta(seconds=1)


def test_the_same_strategy_in_the_same_place_has_the_same_lead() -> None:
    assert LEAD.before("str_1", place=7) == LEAD.before("str_1", place=7)
    assert LEAD.before("str_1", place=7) != LEAD.before("str_2", place=7)


def test_workflows_of_one_second_wake_one_after_the_other_and_none_much_later() -> None:
    assert LEAD.after(place=100 + WOKEN_PER_SECOND) - LEAD.after(place=100) == timedelta(seconds=1)
    assert LEAD.after(place=10**6) - LEAD.after(place=0) == MOST_LATER


def test_a_herds_workflows_wait_until_its_orders_are_out_and_a_few_do_not() -> None:
    assert LEAD.after(place=HERD - 1) < timedelta(seconds=2)
    assert LEAD.after(place=HERD) >= HERDS_TURN


def test_where_desks_do_not_fire_by_themselves_workflows_wake_at_the_instant() -> None:
    assert replace(LEAD, desks_fire=False).after(place=500) == timedelta()
