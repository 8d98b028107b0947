"""What a herd arms is told to the listener in a few messages, and nobody's is forgotten."""

import asyncio

from redis.asyncio import Redis

from cache.channels import Disarmed, listen_armed
from execution.notices import Notices


async def test_what_comes_at_once_is_told_together_and_whole(redis: Redis) -> None:
    notices, told, messages = Notices(redis), [], 0
    async with listen_armed(redis) as batches:
        await asyncio.gather(*(notices.armed([Disarmed(f"run_{number}")]) for number in range(50)))
        async with asyncio.timeout(10):
            async for batch in batches:
                messages += 1
                told += [change.run_id for change in batch]
                if len(told) == 50:
                    break
    assert sorted(told) == sorted(f"run_{number}" for number in range(50))
    assert messages <= 3


async def test_what_comes_alone_has_been_told_when_it_returns(redis: Redis) -> None:
    notices = Notices(redis)
    async with listen_armed(redis) as batches:
        for number in range(3):
            await notices.armed([Disarmed(f"run_{number}")])
            async with asyncio.timeout(10):
                assert [change.run_id for change in await anext(batches)] == [f"run_{number}"]
