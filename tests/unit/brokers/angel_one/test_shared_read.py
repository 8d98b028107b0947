"""One read for many, never an old one, never too many."""

import asyncio

import pytest

from brokers.angel_one import shared_read
from brokers.angel_one.shared_read import Pace, SharedRead
from brokers.turns import LocalTurns, Window
from tests.contract.world import SystemClock
from trading.ports.broker import BrokerUnavailable


class Book:
    """Counts its reads; each takes until it is told to end."""

    def __init__(self) -> None:
        self.reads = 0
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def fetch(self) -> int:
        self.reads += 1
        number = self.reads
        await self.may_end.wait()
        return number


def shared(book: Book, *, gap_seconds: float) -> SharedRead[int]:
    return SharedRead(book.fetch, pace=pace(gap_seconds=gap_seconds))


def pace(*, gap_seconds: float) -> Pace:
    return Pace(LocalTurns(SystemClock()), "angel_one:A1", name="book", gap_seconds=gap_seconds)


async def test_those_who_ask_while_a_read_waits_for_its_turn_share_it() -> None:
    book = Book()
    reads = shared(book, gap_seconds=0.05)
    assert await reads.read() == 1
    assert await asyncio.gather(*(reads.read() for _ in range(5))) == [2] * 5
    assert book.reads == 2


async def test_a_read_that_left_before_the_question_does_not_answer_it() -> None:
    book = Book()
    book.may_end.clear()
    reads = shared(book, gap_seconds=0)
    first = asyncio.create_task(reads.read())
    while book.reads < 1:
        await asyncio.sleep(0)
    second = asyncio.create_task(reads.read())
    while book.reads < 2:
        await asyncio.sleep(0)
    book.may_end.set()
    assert (await first, await second) == (1, 2)


async def test_reads_keep_their_distance() -> None:
    book = Book()
    reads = shared(book, gap_seconds=0.05)
    clock = SystemClock()
    began = clock.monotonic()
    for _ in range(4):
        await reads.read()
    assert clock.monotonic() - began >= 0.15


async def test_a_failure_is_everybodys_and_the_next_read_is_a_new_one() -> None:
    answers = [BrokerUnavailable("down"), 7]

    async def fetch() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    reads = SharedRead(fetch, pace=pace(gap_seconds=0))
    failed = await asyncio.gather(reads.read(), reads.read(), return_exceptions=True)
    assert [type(one) for one in failed] == [BrokerUnavailable] * 2
    assert await reads.read() == 7


async def test_one_who_leaves_does_not_take_the_read_from_the_others() -> None:
    book = Book()
    reads = shared(book, gap_seconds=0)
    leaving, staying = asyncio.create_task(reads.read()), asyncio.create_task(reads.read())
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == 1
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_two_who_share_their_turns_keep_their_distance_together() -> None:
    turns, clock, gap = LocalTurns(SystemClock()), SystemClock(), 0.05
    one, two = (Pace(turns, "angel_one:A1", name="book", gap_seconds=gap) for _ in range(2))
    began = clock.monotonic()
    await asyncio.gather(*(pace.turn() for pace in (one, two) for _ in range(3)))
    assert clock.monotonic() - began >= 5 * gap
    assert await turns.take("angel_one:A2", (Window("book", 1, gap),)) == 0, "another account waits for nobody"


async def test_who_has_waited_too_long_for_others_goes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_read, "PATIENCE_SECONDS", 0.01)
    turns, window = LocalTurns(SystemClock()), Window("book", 1, 0.02)
    turns.note("angel_one:A1", window)
    greedy = asyncio.create_task(keep_taking(turns, window))
    async with asyncio.timeout(10):
        await Pace(turns, "angel_one:A1", name="book", gap_seconds=window.seconds).turn()
    greedy.cancel()


async def keep_taking(turns: LocalTurns, window: Window) -> None:
    """Somebody who leaves no turn to anybody."""
    while True:
        turns.note("angel_one:A1", window)
        await asyncio.sleep(0)
