from datetime import UTC, datetime, timedelta

import pytest

from execution.send import Wire

MORNING = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


class HeldClock:
    """Stands still until it is moved; wall time and monotonic time can part."""

    def __init__(self) -> None:
        self.wall, self.seconds = MORNING, 100.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("seconds", "may"), [(99.0, True), (101.999, True), (102.0, False), (500.0, False)], ids=["early", "last", "late", "hours"]
)
def test_nothing_is_written_at_or_after_the_last_moment(seconds: float, may: bool) -> None:
    clock = HeldClock()
    wire = Wire(102.0, clock)
    clock.seconds = seconds
    assert wire.may_send() is may
    assert wire.was_allowed is may
    assert (wire.sent_at == MORNING) is may


def test_before_anyone_asks_nothing_was_sent_and_nothing_was_late() -> None:
    wire = Wire(102.0, HeldClock())
    assert wire.sent_at is None
    assert wire.was_allowed


def test_a_wall_clock_that_is_set_back_changes_nothing() -> None:
    clock = HeldClock()
    wire = Wire(102.0, clock)
    clock.wall, clock.seconds = MORNING - timedelta(hours=1), 103.0
    assert not wire.may_send()


def test_the_moment_of_writing_is_remembered_in_wall_time() -> None:
    clock = HeldClock()
    wire = Wire(102.0, clock)
    clock.wall = MORNING + timedelta(milliseconds=7)
    assert wire.may_send()
    assert wire.sent_at == MORNING + timedelta(milliseconds=7)


def test_a_kill_switch_that_comes_up_before_the_first_byte_keeps_it_from_being_written() -> None:
    engaged = False
    wire = Wire(102.0, HeldClock(), is_withheld=lambda: engaged)
    engaged = True
    assert not wire.may_send()
    assert not wire.was_allowed
    assert wire.sent_at is None
