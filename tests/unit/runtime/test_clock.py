"""A machine that was suspended comes back with orders that are too old to be sent: the clock has to have noticed."""

import time

import pytest

from execution.send import Wire
from runtime.clock import SystemClock

AN_HOUR = 3600.0
GOES_ON_WHILE_SUSPENDED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def test_what_was_claimed_before_the_machine_was_suspended_is_not_sent_after(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, read = SystemClock(), time.clock_gettime
    wire = Wire(clock.monotonic() + 2.0, clock)
    asleep = {GOES_ON_WHILE_SUSPENDED: AN_HOUR}
    monkeypatch.setattr(time, "clock_gettime", lambda which: read(which) + asleep.get(which, 0.0))
    assert not wire.may_send()
