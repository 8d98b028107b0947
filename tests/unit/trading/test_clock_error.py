"""How wrong a clock can be shown to be, from clocks that tell whole seconds."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from trading.clock_error import ZERO, Bounds, bounds_of, narrowed

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
milliseconds = st.integers(0, 10_000).map(lambda count: timedelta(milliseconds=count))


def answer(true: datetime, *, ahead: timedelta, there: timedelta, back: timedelta) -> Bounds:
    """What is learnt from a server with the right time, when our clock is that much ahead and the way takes that long."""
    asked_at, answered_at = true + ahead, true + there + back + ahead
    return bounds_of((true + there).replace(microsecond=0), asked_at=asked_at, answered_at=answered_at, resolution=SECOND)


@given(st.lists(st.tuples(milliseconds, milliseconds, milliseconds), min_size=1), st.integers(-3_000, 3_000))
def test_no_more_is_proven_than_is_true_however_slow_the_answers(ways: list[tuple[timedelta, ...]], ahead_ms: int) -> None:
    ahead = timedelta(milliseconds=ahead_ms)
    found = narrowed(answer(NOON + at, ahead=ahead, there=there, back=back) for at, there, back in ways)
    assert found is not None
    assert found.least <= ahead <= found.most
    assert found.proven <= abs(ahead)


def test_one_answer_in_whole_seconds_proves_less_than_a_second_and_many_prove_nearly_all_of_it() -> None:
    ahead, way = timedelta(milliseconds=300), timedelta(milliseconds=5)
    answers = [answer(NOON + timedelta(milliseconds=37 * tick), ahead=ahead, there=way, back=way) for tick in range(120)]
    assert answers[0].proven == ZERO
    together = narrowed(answers)
    assert together is not None
    assert timedelta(milliseconds=240) < together.proven <= ahead
    assert together.is_ahead


def test_a_clock_that_is_behind_is_shown_as_well() -> None:
    behind, way = timedelta(milliseconds=-2_500), timedelta(milliseconds=5)
    found = answer(NOON, ahead=behind, there=way, back=way)
    assert (found.proven > timedelta(seconds=2), found.is_ahead) == (True, False)


def test_answers_from_before_the_clock_was_set_are_left_out() -> None:
    newest, older = Bounds(-SECOND, SECOND), Bounds(5 * SECOND, 6 * SECOND)
    assert narrowed([newest, older]) == newest
    assert narrowed([]) is None
