"""How the calls of a minute are shared, so that the broker never blocks the day."""

from datetime import datetime, timedelta

import pytest

from brokers.fyers import pace as pace_module
from brokers.fyers.limits import CALLS_PER_MINUTE, LIMITS
from brokers.fyers.pace import SPREAD_SECONDS, Need, Pace
from tests.unit.brokers.clock import HeldClock
from trading.ports.broker import BrokerUnavailable


class MovingClock(HeldClock):
    """Moves the day as well."""

    def now(self) -> datetime:
        return self.NOW + timedelta(seconds=self.seconds)


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


async def read_for(pace: Pace, clock: MovingClock, need: Need, seconds: float) -> int:
    """As many reads as there are turns in that time, each as soon as it may begin."""
    end, reads = clock.seconds + seconds, 0
    while clock.seconds < end:
        wait = pace.wait_for(need)
        if wait:
            clock.seconds += wait
            continue
        await pace.ask(need)
        reads += 1
    return reads


@pytest.mark.parametrize("need", Need)
async def test_whoever_reads_all_the_time_stays_below_the_minute_with_room_for_orders(clock: MovingClock, need: Need) -> None:
    pace = Pace(clock)
    for _ in range(5):
        assert 0 < await read_for(pace, clock, need, 60) <= need.calls_before < CALLS_PER_MINUTE


async def test_the_book_is_never_out_of_reach_for_longer_than_its_readers_wait(clock: MovingClock) -> None:
    pace = Pace(clock)
    longest = 0.0
    for _ in range(400):
        wait = pace.wait_for(Need.BOOK)
        longest = max(longest, wait)
        clock.seconds += wait
        await pace.ask(Need.BOOK)
    assert longest <= SPREAD_SECONDS


async def test_comfort_gives_way_to_the_book(clock: MovingClock) -> None:
    pace = Pace(clock)
    for _ in range(Need.COMFORT.reads_at_once):
        await pace.ask(Need.COMFORT)
    assert pace.wait_for(Need.COMFORT) > 0
    assert pace.wait_for(Need.BOOK) == 0


async def test_a_turn_is_waited_for_and_not_for_ever(clock: MovingClock, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        clock.seconds += seconds if len(waited) == 1 else 0

    monkeypatch.setattr(pace_module, "sleep", sleep)
    pace = Pace(clock)
    for _ in range(Need.BOOK.reads_at_once + 1):
        await pace.ask(Need.BOOK)
    assert waited == [SPREAD_SECONDS]
    for _ in range(Need.BOOK.reads_at_once - 1):
        await pace.ask(Need.BOOK)
    with pytest.raises(BrokerUnavailable, match="kept for orders"):
        await pace.ask(Need.BOOK)


async def test_orders_count_against_the_reads_of_the_minute(clock: MovingClock) -> None:
    pace = Pace(clock)
    for _ in range(Need.BOOK.calls_before):
        pace.count()
    with pytest.raises(BrokerUnavailable, match="kept for orders"):
        await pace.ask(Need.BOOK)
    clock.seconds += 60
    await pace.ask(Need.BOOK)


async def test_after_two_complaints_only_orders_and_the_book_are_left_until_tomorrow(clock: MovingClock) -> None:
    pace = Pace(clock)
    pace.complained()
    clock.seconds += 1
    pace.complained()
    assert pace.breaches == 1
    await pace.ask(Need.COMFORT)
    clock.seconds += 60
    pace.complained()
    with pytest.raises(BrokerUnavailable, match="complained"):
        await pace.ask(Need.COMFORT)
    await pace.ask(Need.BOOK)
    clock.seconds += 86_400
    await pace.ask(Need.COMFORT)


def test_what_the_desk_may_write_fits_into_the_minute_beside_the_reads() -> None:
    (a_minute,) = [rate for rate in LIMITS.order_writes if rate.seconds == 60]
    assert a_minute.count + 50 <= CALLS_PER_MINUTE
