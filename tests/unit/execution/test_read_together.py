"""What many ask for at once is read in one go, and a read that fails is told to each who asked."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from execution.read_together import AT_ONCE, ReadTogether


class Numbers:
    """Answers a key with ten times the key. The keys of each read are kept; one in `broken` makes its read fail."""

    def __init__(self, *, broken: frozenset[int] = frozenset()) -> None:
        self.reads: list[list[int]] = []
        self._broken = broken
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def read_all(self, keys: Sequence[int]) -> Mapping[int, int]:
        self.reads.append(list(keys))
        await self.go_on.wait()
        if self._broken & set(keys):
            raise OSError("the database is away")
        return {key: 10 * key for key in keys}


async def test_many_who_ask_at_once_are_answered_from_few_reads() -> None:
    numbers = Numbers()
    asked = ReadTogether(numbers.read_all)
    found = await asyncio.gather(*(asked.read(key) for key in range(2 * AT_ONCE)))
    assert found == [10 * key for key in range(2 * AT_ONCE)]
    assert [len(read) for read in numbers.reads] == [AT_ONCE, AT_ONCE]


async def test_who_asks_while_a_read_is_under_way_is_answered_from_a_later_one() -> None:
    numbers = Numbers()
    asked = ReadTogether(numbers.read_all)
    numbers.go_on.clear()
    first = asyncio.create_task(asked.read(1))
    while not numbers.reads:
        await asyncio.sleep(0)
    second = asyncio.create_task(asked.read(2))
    await asyncio.sleep(0)
    numbers.go_on.set()
    assert await asyncio.gather(first, second) == [10, 20]
    assert numbers.reads == [[1], [2]]


async def test_a_read_that_failed_answers_nobody_and_the_next_one_is_made() -> None:
    numbers = Numbers(broken=frozenset([2]))
    asked = ReadTogether(numbers.read_all)
    told = await asyncio.gather(asked.read(1), asked.read(2), return_exceptions=True)
    assert [type(one) for one in told] == [OSError, OSError]
    assert await asked.read(3) == 30


async def test_who_asks_no_more_is_not_read_for() -> None:
    numbers = Numbers()
    asked = ReadTogether(numbers.read_all)
    leaving = asyncio.create_task(asked.read(1))
    staying = asyncio.create_task(asked.read(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == 20
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert numbers.reads == [[2]]
