"""What the library does with its connections, and what it must not do."""

import asyncio

from redis.asyncio import Redis

from cache.prices import PriceCache
from tests.waiting import eventually
from trading.instruments import InstrumentId


async def test_a_cancelled_task_ends_at_whatever_moment_of_a_redis_call_it_is_hit(redis: Redis) -> None:
    """Once, a cancellation that arrived while a command was being written was lost, and its task went on for ever."""
    rounds = 0

    async def work() -> None:
        nonlocal rounds
        while True:
            await PriceCache(redis).read([InstrumentId("NSE", "TCS")])
            rounds += 1

    for steps in range(60):
        task = asyncio.create_task(work())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await eventually(task.done, f"the task cancelled after {steps} steps ends", deadline_seconds=5)
    assert rounds > 0


async def test_a_connection_does_not_look_up_what_library_it_is_of(redis: Redis) -> None:
    """The library reads the file system for that, each time it connects. Whatever it finds it tells the server."""
    me = await redis.client_info()
    assert (me["lib-name"], me["lib-ver"]) == ("", "")
