from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.limits import Rate
from brokers.zerodha.limits import LIMITS
from execution.budget import WRITES_PER_POSITION, Budget, Priority

# What a caller does at an instant: how long after the last call (seconds), how many writes it wants, for an exit or an entry,
# and how many of those it could not make after all.
CALLS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.05, 0.2, 0.5, 0.95, 1.0, 3.0, 30.0]),
        st.integers(1, 6),
        st.sampled_from(Priority),
        st.integers(0, 6),
    ),
    max_size=40,
)
RATES = st.sampled_from(
    [
        (Rate(3, 1),),
        (Rate(2, 1), Rate(5, 10)),
        (Rate(8, 1), Rate(20, 60)),
        (Rate(1, 1), Rate(4, 5), Rate(6, 60)),
    ]
)


@dataclass
class Account:
    """An account that asks before it writes, and the writes it has really made."""

    rates: tuple[Rate, ...]
    now: float = 1_000.0
    made: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.budget = Budget(self.rates)

    def write(self, wanted: int, priority: Priority, *, open_positions: int = 0, not_made: int = 0) -> int:
        allowed = min(wanted, self.budget.available(priority, now=self.now, open_positions=open_positions))
        self.budget.spend(allowed, now=self.now)
        unmade = min(not_made, allowed)
        self.budget.give_back(unmade)
        self.made += [self.now] * (allowed - unmade)
        return allowed - unmade

    def most_in_any_window(self, rate: Rate) -> int:
        return max((sum(1 for at in self.made if start <= at < start + rate.seconds) for start in self.made), default=0)


@given(rates=RATES, calls=CALLS, open_positions=st.integers(0, 3))
def test_no_window_ever_holds_more_writes_than_its_rate(
    rates: tuple[Rate, ...], calls: list[tuple[float, int, Priority, int]], open_positions: int
) -> None:
    account = Account(rates)
    for pause, wanted, priority, not_made in calls:
        account.now += pause
        account.write(wanted, priority, open_positions=open_positions, not_made=not_made)
    for rate in rates:
        assert account.most_in_any_window(rate) <= rate.count


@given(
    rates=RATES,
    writes=st.lists(st.tuples(st.sampled_from([0.0, 0.05, 0.3, 1.0, 7.0]), st.floats(0, 0.4), st.floats(0, 0.4)), max_size=40),
)
def test_no_window_at_the_broker_holds_more_than_its_rate_however_long_each_write_was_under_way(
    rates: tuple[Rate, ...], writes: list[tuple[float, float, float]]
) -> None:
    """Each: the pause before it (seconds), how long it takes to arrive, and how long after that its answer takes."""
    budget, now = Budget(rates), 1_000.0
    arrivals: list[float] = []
    answers: list[tuple[float, float]] = []  # when it is answered, and when it was counted first
    for pause, to_arrive, to_answer in writes:
        now += pause
        for answered_at, spent_at in sorted(answer for answer in answers if answer[0] <= now):
            budget.arrived(spent_at, now=answered_at)
        answers = [answer for answer in answers if answer[0] > now]
        if budget.available(Priority.EXIT, now=now):
            budget.spend(1, now=now)
            arrivals.append(now + to_arrive)
            answers.append((now + to_arrive + to_answer, now))
    for rate in rates:
        assert max((sum(start <= at < start + rate.seconds for at in arrivals) for start in arrivals), default=0) <= rate.count


def test_a_second_burst_leaves_a_second_after_the_first_has_arrived() -> None:
    budget = Budget((Rate(8, 1),))
    budget.spend(8, now=0.0)
    for _ in range(8):
        budget.arrived(0.0, now=0.02)
    assert budget.available(Priority.EXIT, now=1.01) == 0
    assert budget.next_free_at(now=1.01) == pytest.approx(1.02)
    assert budget.available(Priority.EXIT, now=1.02) == 8


def test_a_write_that_is_never_answered_holds_nobody_up() -> None:
    budget = Budget((Rate(2, 1),))
    budget.spend(2, now=0.0)
    assert budget.available(Priority.EXIT, now=1.0) == 2
    budget.arrived(0.0, now=5.0)
    assert budget.available(Priority.EXIT, now=5.0) == 2


def test_what_is_given_back_is_the_write_that_was_not_made() -> None:
    budget = Budget((Rate(2, 1),))
    budget.spend(1, now=0.0)
    budget.spend(1, now=0.1)
    budget.arrived(0.0, now=0.3)
    budget.give_back(1, spent_at=0.1)
    assert budget.available(Priority.EXIT, now=1.2) == 1
    assert budget.available(Priority.EXIT, now=1.3) == 2


@given(rates=RATES, calls=CALLS)
def test_the_full_rate_can_be_used_again_once_everything_is_long_ago(
    rates: tuple[Rate, ...], calls: list[tuple[float, int, Priority, int]]
) -> None:
    account = Account(rates)
    for pause, wanted, priority, _ in calls:
        account.now += pause
        account.write(wanted, priority)
    account.now += max(rate.seconds for rate in rates)
    assert account.budget.available(Priority.EXIT, now=account.now) == min(rate.count for rate in rates)


@given(rates=RATES, calls=CALLS)
def test_the_next_free_moment_is_free_and_none_before_it_is(
    rates: tuple[Rate, ...], calls: list[tuple[float, int, Priority, int]]
) -> None:
    account = Account(rates)
    for pause, wanted, priority, _ in calls:
        account.now += pause
        account.write(wanted, priority)
    free_at = account.budget.next_free_at(now=account.now)
    is_free = account.budget.available(Priority.EXIT, now=account.now) > 0
    assert (free_at == account.now) is is_free
    if not is_free:
        assert account.budget.available(Priority.EXIT, now=free_at - 0.001) == 0
    assert account.budget.available(Priority.EXIT, now=free_at) > 0


@given(rates=RATES, calls=CALLS, open_positions=st.integers(0, 5))
def test_an_entry_is_never_admitted_where_an_exit_would_not_be(
    rates: tuple[Rate, ...], calls: list[tuple[float, int, Priority, int]], open_positions: int
) -> None:
    account = Account(rates)
    for pause, wanted, priority, _ in calls:
        account.now += pause
        account.write(wanted, priority, open_positions=open_positions)
        now, budget = account.now, account.budget
        for_entries = budget.available(Priority.ENTRY, now=now, open_positions=open_positions)
        assert for_entries <= budget.available(Priority.EXIT, now=now, open_positions=open_positions)


def test_entries_leave_three_writes_per_open_position_in_the_long_windows() -> None:
    budget = Budget((Rate(8, 1), Rate(20, 60)))
    assert budget.available(Priority.ENTRY, now=0, open_positions=5) == 20 - 5 * WRITES_PER_POSITION
    assert budget.available(Priority.EXIT, now=0, open_positions=5) == 8
    assert budget.available(Priority.ENTRY, now=0, open_positions=7) == 0


def test_the_reserve_does_not_narrow_a_window_that_refills_at_once() -> None:
    assert Budget((Rate(8, 1),)).available(Priority.ENTRY, now=0, open_positions=100) == 8


def test_exits_may_use_what_entries_had_to_leave() -> None:
    account = Account((Rate(20, 60),))
    assert account.write(20, Priority.ENTRY, open_positions=5) == 5
    assert account.write(20, Priority.EXIT, open_positions=5) == 15


def test_writes_that_were_not_made_are_free_again() -> None:
    budget = Budget((Rate(3, 1),))
    budget.spend(3, now=0)
    budget.give_back(2)
    assert budget.available(Priority.EXIT, now=0) == 2


def test_no_more_is_given_back_than_was_spent() -> None:
    budget = Budget((Rate(3, 1),))
    budget.spend(1, now=0)
    budget.give_back(5)
    assert budget.available(Priority.EXIT, now=0) == 3


def test_writes_made_without_asking_are_counted_and_never_make_the_answer_negative() -> None:
    budget = Budget((Rate(3, 1),))
    budget.spend(10, now=0)
    assert budget.available(Priority.EXIT, now=0.5) == 0
    assert budget.next_free_at(now=0.5) == 1
    assert budget.available(Priority.EXIT, now=1) == 3


def test_a_budget_without_a_rate_is_no_budget() -> None:
    with pytest.raises(ValueError, match="at least one rate"):
        Budget(())


def test_our_own_rates_stay_below_what_the_broker_documents() -> None:
    documented = {rate.seconds: rate.count for rate in LIMITS.documented_order_writes}
    assert {rate.seconds for rate in LIMITS.order_writes} == set(documented)
    assert all(rate.count <= documented[rate.seconds] for rate in LIMITS.order_writes)
    assert min(rate.count for rate in LIMITS.order_writes if rate.seconds == 1) <= 8
