"""How long an account has nobody: from its worker's death to the next lease."""

from tests.chaos.watch import Lease, Unmanaged


def _lease(epoch: int, *, owner: str = "worker-host-41-abc", alive: bool = True, busy: bool = True) -> Lease:
    return Lease("brk_1", owner, epoch, alive, busy)


def test_the_span_runs_from_the_death_to_the_next_living_lease() -> None:
    unmanaged = Unmanaged()
    unmanaged.seen([_lease(1)], at=10.0)
    unmanaged.worker_died(41, at=11.0)
    unmanaged.seen([_lease(1)], at=12.0)
    unmanaged.seen([_lease(2, owner="worker-host-42-def")], at=14.5)
    assert unmanaged.spans == [3.5]
    assert unmanaged.longest(now=20.0) == 3.5


def test_a_second_death_meanwhile_does_not_start_the_clock_again() -> None:
    unmanaged = Unmanaged()
    unmanaged.seen([_lease(1)], at=10.0)
    unmanaged.worker_died(41, at=11.0)
    unmanaged.worker_died(41, at=13.0)
    assert unmanaged.longest(now=15.0) == 4.0


def test_accounts_of_other_workers_and_without_work_do_not_count() -> None:
    unmanaged = Unmanaged()
    unmanaged.seen([_lease(1, owner="worker-host-414-abc"), Lease("brk_2", "worker-host-41-abc", 1, True, False)], at=10.0)
    unmanaged.worker_died(41, at=11.0)
    assert unmanaged.longest(now=15.0) == 0.0


def test_an_account_whose_work_has_ended_needs_no_desk_any_more() -> None:
    unmanaged = Unmanaged()
    unmanaged.seen([_lease(1)], at=10.0)
    unmanaged.worker_died(41, at=11.0)
    unmanaged.seen([_lease(1, alive=False, busy=False)], at=12.0)
    assert unmanaged.longest(now=15.0) == 0.0
