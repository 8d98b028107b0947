"""How the calls of a minute are shared, so that the broker never blocks the day."""

from datetime import datetime, timedelta

import pytest

from brokers.fyers import pace as pace_module
from brokers.fyers.limits import CALLS_PER_MINUTE, LIMITS
from brokers.fyers.pace import SPREAD_SECONDS, Need, Pace
from brokers.turns import LocalTurns
from tests.unit.brokers.clock import HeldClock
from trading.ports.broker import BrokerUnavailable


class MovingClock(HeldClock):
    """Moves the day as well."""

    def now(self) -> datetime:
        return self.NOW + timedelta(seconds=self.seconds)


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def pace(clock: MovingClock) -> Pace:
    return Pace("fyers:XA1", LocalTurns(clock), clock)


async def read_for(pace: Pace, clock: MovingClock, need: Need, seconds: float) -> int:
    """As many reads as there are turns in that time, each as soon as it may begin."""
    end, reads = clock.seconds + seconds, 0
    while clock.seconds < end:
        wait = await pace.take(need)
        if wait:
            clock.seconds += wait
            continue
        reads += 1
    return reads


@pytest.mark.parametrize("need", Need)
async def test_whoever_reads_all_the_time_stays_below_the_minute_with_room_for_orders(
    pace: Pace, clock: MovingClock, need: Need
) -> None:
    for _ in range(5):
        assert 0 < await read_for(pace, clock, need, 60) <= need.calls_before < CALLS_PER_MINUTE


async def test_the_book_is_never_out_of_reach_for_longer_than_its_readers_wait(pace: Pace, clock: MovingClock) -> None:
    longest = 0.0
    for _ in range(400):
        wait = await pace.take(Need.BOOK)
        longest = max(longest, wait)
        clock.seconds += wait
    assert longest <= SPREAD_SECONDS


async def test_comfort_gives_way_to_the_book(pace: Pace, clock: MovingClock) -> None:
    for _ in range(Need.COMFORT.reads_at_once):
        await pace.ask(Need.COMFORT)
    assert await pace.take(Need.COMFORT) > 0
    assert await pace.take(Need.BOOK) == 0


async def test_a_turn_is_waited_for_and_not_for_ever(pace: Pace, clock: MovingClock, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        clock.seconds += seconds if len(waited) == 1 else 0

    monkeypatch.setattr(pace_module, "sleep", sleep)
    for _ in range(Need.BOOK.reads_at_once + 1):
        await pace.ask(Need.BOOK)
    assert waited == [SPREAD_SECONDS]
    for _ in range(Need.BOOK.reads_at_once - 1):
        await pace.ask(Need.BOOK)
    with pytest.raises(BrokerUnavailable, match="kept for orders"):
        await pace.ask(Need.BOOK)


async def test_orders_count_against_the_reads_of_the_minute(pace: Pace, clock: MovingClock) -> None:
    for _ in range(Need.BOOK.calls_before):
        pace.count()
    with pytest.raises(BrokerUnavailable, match="kept for orders"):
        await pace.ask(Need.BOOK)
    clock.seconds += 60
    await pace.ask(Need.BOOK)


async def test_after_two_complaints_only_orders_and_the_book_are_left_until_tomorrow(pace: Pace, clock: MovingClock) -> None:
    await pace.complained()
    clock.seconds += 1
    await pace.complained()
    assert await pace.breaches() == 1
    await pace.ask(Need.COMFORT)
    clock.seconds += 60
    await pace.complained()
    with pytest.raises(BrokerUnavailable, match="complained"):
        await pace.ask(Need.COMFORT)
    await pace.ask(Need.BOOK)
    clock.seconds += 86_400
    await pace.ask(Need.COMFORT)


def test_what_the_desk_may_write_fits_into_the_minute_beside_the_reads() -> None:
    (a_minute,) = [rate for rate in LIMITS.order_writes if rate.seconds == 60]
    assert a_minute.count + 50 <= CALLS_PER_MINUTE
