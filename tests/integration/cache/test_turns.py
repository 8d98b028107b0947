"""Turns at a broker's limits, shared by processes through Redis, and what is left of them without it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from brokers.turns import Window
from cache.keys import turns_key
from cache.turns import RedisTurns
from runtime.clock import SystemClock
from runtime.turns import REST_SECONDS, SharedTurns
from tests.unit.brokers.clock import HeldClock

BOOK = Window("book", 1, 30)
CALLS, READS = Window("calls", 3, 30), Window("reads", 2, 30)
TODAY, TOMORROW = date(2026, 11, 23), date(2026, 11, 24)


@pytest.fixture
def account() -> str:
    return f"angel_one:{uuid4().hex}"


@pytest.fixture
async def processes(redis: Redis, account: str) -> AsyncIterator[tuple[SharedTurns, SharedTurns]]:
    """Two of them, each with what it knows itself."""
    yield SharedTurns(RedisTurns(redis), HeldClock()), SharedTurns(RedisTurns(redis), HeldClock())
    keys = [key async for key in redis.scan_iter(f"*{account}*")]
    if keys:
        await redis.delete(*keys)


async def test_a_turn_is_taken_from_all_processes(processes: tuple[SharedTurns, SharedTurns], account: str) -> None:
    one, two = processes
    assert await one.take(account, [BOOK]) == 0
    assert 25 < await two.take(account, [BOOK]) <= 30
    assert await two.take(f"{account}-other", [BOOK]) == 0


async def test_of_many_who_ask_at_once_one_gets_it(processes: tuple[SharedTurns, SharedTurns], account: str) -> None:
    waits = await asyncio.gather(*(process.take(account, [BOOK]) for process in processes for _ in range(20)))
    assert [wait for wait in waits if wait == 0] == [0]


async def test_a_turn_is_taken_in_every_window_or_in_none(
    processes: tuple[SharedTurns, SharedTurns], account: str, redis: Redis
) -> None:
    one, two = processes
    for process in (one, two):
        assert await process.take(account, [CALLS, READS]) == 0
    assert await one.take(account, [CALLS, READS]) > 0, "no read is left"
    assert await redis.zcard(turns_key(account, "calls")) == 2
    assert await two.take(account, [CALLS]) == 0


async def test_a_window_that_has_passed_is_free_again(redis: Redis, account: str) -> None:
    turns, short = SharedTurns(RedisTurns(redis), HeldClock()), Window("book", 1, 0.05)
    assert await turns.take(account, [short]) == 0
    async with asyncio.timeout(10):
        while (wait := await turns.take(account, [short])) > 0:
            await asyncio.sleep(wait)


async def test_what_leaves_without_asking_is_counted_by_the_others(
    processes: tuple[SharedTurns, SharedTurns], account: str
) -> None:
    one, two = processes
    for _ in range(CALLS.count):
        one.note(account, CALLS)
    async with asyncio.timeout(10):
        while await two.take(account, [Window("calls", CALLS.count, CALLS.seconds)]) == 0:
            await asyncio.sleep(0.01)


async def test_a_minute_of_complaints_is_one_and_everybody_knows_of_it(
    processes: tuple[SharedTurns, SharedTurns], account: str
) -> None:
    one, two = processes
    await one.complain(account, TODAY)
    await two.complain(account, TODAY)
    assert [await process.complaints(account, TODAY) for process in processes] == [1, 1]
    assert await two.complaints(account, TOMORROW) == 0


async def test_without_redis_each_goes_by_what_it_knows_itself(absent_redis: Redis, account: str) -> None:
    turns = SharedTurns(RedisTurns(absent_redis), SystemClock())
    assert await turns.take(account, [BOOK]) == 0
    assert await turns.take(account, [BOOK]) > 0
    turns.note(account, CALLS)
    await turns.complain(account, TODAY)
    assert await turns.complaints(account, TODAY) == 1


async def test_who_loses_redis_still_knows_its_own_turns_and_leaves_it_alone_for_a_while(redis: Redis, account: str) -> None:
    class Fragile(RedisTurns):
        asked = 0
        is_away = False

        async def take(self, account: str, windows: object, *, turn: str) -> float:
            self.asked += 1
            return await RedisTurns(away if self.is_away else redis).take(account, [BOOK], turn=turn)

    away = Redis.from_url("redis://127.0.0.1:9/0")
    clock, shared = HeldClock(), Fragile(redis)
    turns = SharedTurns(shared, clock)
    assert await turns.take(account, [BOOK]) == 0
    shared.is_away = True
    assert await turns.take(account, [BOOK]) > 0
    assert await turns.take(account, [BOOK]) > 0
    assert shared.asked == 2, "after a failure it rests"
    clock.seconds += REST_SECONDS + BOOK.seconds
    shared.is_away = False
    await redis.delete(turns_key(account, "book"))
    assert await turns.take(account, [BOOK]) == 0
    assert shared.asked == 3
    await away.aclose()
