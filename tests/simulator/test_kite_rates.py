"""The documented rate limits."""

import aiohttp
import pytest

from simulator.dialects.common.rates import RateLimiter
from simulator.dialects.kite.rates import kite_limiter
from simulator.testing import running_simulator
from tests.simulator.kite_client import KiteClient


class Seconds:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def allowed(limiter: RateLimiter, number: int, kinds: tuple[str, ...] = ("order",), mode: str = "on", account: str = "a") -> int:
    return sum(limiter.allow(account, kinds, mode) for _ in range(number))


def test_ten_order_writes_a_second_and_the_window_slides() -> None:
    clock = Seconds()
    limiter = kite_limiter(clock)
    assert allowed(limiter, 5) == 5
    clock.now += 0.5
    assert allowed(limiter, 8) == 5
    clock.now += 0.5
    assert allowed(limiter, 8) == 5, "only those of the first half have left the window"
    assert allowed(limiter, 3, account="b") == 3


def test_four_hundred_a_minute() -> None:
    clock = Seconds()
    limiter = kite_limiter(clock)
    passed = 0
    for _ in range(50):
        passed += allowed(limiter, 10)
        clock.now += 1
    assert passed == 400
    clock.now += 11
    assert allowed(limiter, 10) == 10


def test_five_thousand_orders_a_day_but_modifications_are_not_orders() -> None:
    clock = Seconds()
    limiter = kite_limiter(clock)
    passed = 0
    for _ in range(1_000):
        passed += allowed(limiter, 6, ("order", "place"))
        clock.now += 2
    assert passed == 5_000
    assert allowed(limiter, 1, ("order",)) == 1


@pytest.mark.parametrize(("kind", "number"), [("quote", 1), ("historical", 3), ("other", 10)])
def test_reads_have_limits_of_their_own(kind: str, number: int) -> None:
    limiter = kite_limiter(Seconds())
    assert allowed(limiter, number + 5, (kind,)) == number
    assert allowed(limiter, 100, (kind,), mode="orders") == 100
    assert allowed(limiter, 100, ("order",), mode="off") == 100


async def test_over_the_limit_is_429_logged_and_not_placed() -> None:
    async with running_simulator() as sim, aiohttp.ClientSession() as session:
        kite = KiteClient(session, sim.kite_url, sim.account("alice"))
        sim.simulator.kite.gateway._limiter = kite_limiter(Seconds())
        answers = [await kite.place(price="1") for _ in range(6)] + [await kite.place() for _ in range(6)]
        assert [answer.status for answer in answers] == [400] * 6 + [200] * 4 + [429] * 2, "refused orders count too"
        assert answers[-1].body == {
            "status": "error",
            "message": "Too many requests",
            "error_type": "NetworkException",
            "data": None,
        }
        assert len(sim.orders("alice")) == 4
        assert [entry["outcome"][:3] for entry in sim.log.since(0, action="place")][-2:] == ["429", "429"]


async def test_an_account_can_have_its_own_mode() -> None:
    async with running_simulator() as sim, aiohttp.ClientSession() as session:
        kite = KiteClient(session, sim.kite_url, sim.account("fast", rate_limits="off"))
        sim.simulator.kite.gateway._limiter = kite_limiter(Seconds())
        assert [(await kite.place()).status for _ in range(15)] == [200] * 15
