"""Fyers' limits: a second's, a minute's, and what too many broken minutes cost."""

import pytest

from simulator.dialects.fyers.rates import DAY, MINUTE, ORDER, OTHER, SECOND, FyersLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def calls(limiter: FyersLimiter, clock: Clock, number: int, *, apart: float = 0.11, kinds: tuple[str, ...] = OTHER) -> list[bool]:
    """That many calls, evenly spread."""
    answers = []
    for _ in range(number):
        answers.append(limiter.allow("app", kinds, "on"))
        clock.now += apart
    return answers


def test_ten_calls_go_in_a_second_whatever_they_are(clock: Clock) -> None:
    limiter = FyersLimiter(clock)
    assert calls(limiter, clock, 5, apart=0) + calls(limiter, clock, 6, apart=0, kinds=ORDER) == [True] * 10 + [False]
    assert limiter.wait_seconds == SECOND
    clock.now += 1
    assert limiter.allow("app", OTHER, "on")


def test_a_minute_broken_once_is_forgiven_and_told_from_a_second(clock: Clock) -> None:
    limiter = FyersLimiter(clock)
    assert calls(limiter, clock, 201) == [True] * 200 + [False]
    assert (limiter.wait_seconds, limiter.breaches("app")) == (MINUTE, 1)
    assert calls(limiter, clock, 20) == [False] * 20
    assert limiter.breaches("app") == 1
    clock.now += 60
    assert limiter.allow("app", OTHER, "on")


def test_the_fourth_broken_minute_blocks_the_day(clock: Clock) -> None:
    limiter = FyersLimiter(clock)
    for number in range(1, 5):
        calls(limiter, clock, 201)
        assert limiter.breaches("app") == number
        clock.now += 120
        assert limiter.allow("app", ORDER, "on") == (number < 4)
    assert limiter.is_blocked("app")
    assert limiter.wait_seconds == DAY
    assert limiter.allow("another", ORDER, "on")
    limiter.forget()
    assert limiter.allow("app", ORDER, "on")


def test_a_benchmark_may_switch_the_limits_off(clock: Clock) -> None:
    limiter = FyersLimiter(clock)
    assert all(limiter.allow("app", OTHER, "orders") for _ in range(300))
    assert not all(limiter.allow("app", ORDER, "orders") for _ in range(11))
    assert all(limiter.allow("app", ORDER, "off") for _ in range(300))
