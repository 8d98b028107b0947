"""A clock that is wrong is shown to be, against the database's and against headers in whole seconds."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from sqlalchemy import select

from brokers.answers import StatedTime
from brokers.connections import ConnectionPool
from brokers.transport import Transport
from runtime.clock_watch import DATABASE, LASTING_SECONDS, TOLERANCE, ClockWatch, broker_bounds
from runtime.kernel_clock import KernelClock, judge, read_kernel_clock
from storage.database import Database
from storage.models import Alert
from tests.unit.brokers.raw_server import raw_server


class WrongClock:
    """Runs as the real one does, some time beside it; `passed` is added to its monotonic side."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead
        self.passed = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return self.passed


async def up(database: Database) -> list[str]:
    async with database.transaction() as session:
        return list(await session.scalars(select(Alert.message).where(Alert.cleared_at.is_(None), Alert.kind == "clock_off")))


async def test_a_clock_that_stays_wrong_is_an_alarm_until_it_is_right(database: Database) -> None:
    clock = WrongClock(timedelta(minutes=-3))
    watch = ClockWatch(database=database, clock=clock, kind="worker", stated=[])
    await watch.look()
    assert (watch.newest.is_wrong, watch.newest.against, await up(database)) == (True, DATABASE, [])
    clock.passed += LASTING_SECONDS
    await watch.look()
    assert len(await up(database)) == 1
    assert "ms behind the database" in (await up(database))[0]
    clock.ahead = timedelta(0)
    await watch.look()
    assert (watch.newest.is_wrong, await up(database)) == (False, [])


@pytest.mark.parametrize("wrong", [timedelta(milliseconds=400), timedelta(milliseconds=-400)], ids=["ahead", "behind"])
def test_headers_in_whole_seconds_prove_an_error_of_less_than_a_second(wrong: timedelta) -> None:
    start = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
    moments = [start + timedelta(milliseconds=770 * number) for number in range(60)]
    stated = [
        StatedTime("https://broker", format_datetime(true, usegmt=True), true + wrong, true + wrong + timedelta(milliseconds=10))
        for true in moments
    ]
    found = broker_bounds(stated, now=moments[-1] + wrong)["https://broker"]
    assert TOLERANCE < found.proven <= abs(wrong)
    assert broker_bounds(stated, now=moments[-1] + timedelta(hours=1)) == {}, "what is old says nothing"


async def test_a_clock_its_time_service_still_corrects_by_much_is_wrong(database: Database) -> None:
    clock, offset = WrongClock(timedelta(0)), timedelta(milliseconds=250)
    for kernel, wrong in ((KernelClock(True, offset), True), (KernelClock(False, offset), False), (None, False)):
        watch = ClockWatch(database=database, clock=clock, kind="api", stated=[], read_kernel=lambda kernel=kernel: kernel)
        await watch.look()
        assert watch.newest.is_wrong is wrong
        if wrong:
            assert watch.newest.words == "at least 250 ms behind the time service"


def test_the_kernel_gives_its_offset_in_two_units_and_says_whether_anybody_keeps_its_clock() -> None:
    assert judge(status=0x2001, offset=-5_000_000) == KernelClock(True, timedelta(milliseconds=-5))
    assert judge(status=0x0001, offset=5_000) == KernelClock(True, timedelta(milliseconds=5))
    assert not judge(status=0x0041, offset=0).is_synchronised


def test_this_machines_kernel_answers_or_cannot_be_asked() -> None:
    found = read_kernel_clock()
    assert found is None or abs(found.offset) < timedelta(seconds=1)


def test_headers_nobody_can_read_say_nothing() -> None:
    now = datetime.now(UTC)
    assert broker_bounds([StatedTime("s", date, now, now) for date in ("", "soon", "Fri, 99 Nov 2026")], now=now) == {}


async def test_every_answer_of_a_broker_leaves_the_time_it_stated() -> None:
    pool = ConnectionPool()
    body = b"HTTP/1.1 503 Away\r\nDate: Fri, 20 Nov 2026 06:00:00 GMT\r\nContent-Length: 0\r\n\r\n"

    async def script(connection) -> None:  # type: ignore[no-untyped-def]
        await connection.request()
        await connection.send(body)

    async with raw_server(script) as server:
        transport = Transport(base_url=server.url, connections=pool, timeout_seconds=5)
        await transport.read("/orders")
    await pool.close()
    (stated,) = pool.stated
    assert (stated.server, stated.date) == (server.url, "Fri, 20 Nov 2026 06:00:00 GMT")
    assert stated.asked_at <= stated.answered_at
