"""How the calls of a minute are shared, so that the broker never blocks the day."""

from datetime import datetime, timedelta

import pytest

from brokers.fyers.limits import CALLS_PER_MINUTE, LIMITS
from brokers.fyers.pace import Need, Pace
from tests.unit.brokers.clock import HeldClock
from trading.ports.broker import BrokerUnavailable


class MovingClock(HeldClock):
    """Moves the day as well."""

    def now(self) -> datetime:
        return self.NOW + timedelta(seconds=self.seconds)


@pytest.fixture
def clock() -> HeldClock:
    return MovingClock()


def used_up(pace: Pace, need: Need) -> int:
    count = 0
    while count <= CALLS_PER_MINUTE:
        try:
            pace.ask(need)
        except BrokerUnavailable:
            return count
        count += 1
    raise AssertionError("nothing holds reads back")


def test_comfort_gives_way_to_the_book_and_the_book_to_orders(clock: HeldClock) -> None:
    pace = Pace(clock)
    comfort = used_up(pace, Need.COMFORT)
    book = used_up(pace, Need.BOOK)
    assert 0 < comfort < comfort + book < CALLS_PER_MINUTE


def test_orders_count_against_the_reads_of_the_minute(clock: HeldClock) -> None:
    pace = Pace(clock)
    for _ in range(Need.BOOK):
        pace.count()
    with pytest.raises(BrokerUnavailable, match="kept for orders"):
        pace.ask(Need.BOOK)


def test_a_minute_later_everything_is_there_again(clock: HeldClock) -> None:
    pace = Pace(clock)
    used_up(pace, Need.COMFORT)
    clock.seconds += 60
    pace.ask(Need.COMFORT)


def test_after_two_complaints_only_orders_and_the_book_are_left_until_tomorrow(clock: HeldClock) -> None:
    pace = Pace(clock)
    pace.complained()
    clock.seconds += 1
    pace.complained()
    assert pace.breaches == 1
    pace.ask(Need.COMFORT)
    clock.seconds += 60
    pace.complained()
    with pytest.raises(BrokerUnavailable, match="complained"):
        pace.ask(Need.COMFORT)
    pace.ask(Need.BOOK)
    clock.seconds += 86_400
    pace.ask(Need.COMFORT)


def test_what_the_desk_may_write_fits_into_the_minute_beside_the_reads() -> None:
    (a_minute,) = [rate for rate in LIMITS.order_writes if rate.seconds == 60]
    assert a_minute.count + 50 <= CALLS_PER_MINUTE
