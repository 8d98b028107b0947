import pytest
from redis.asyncio import Redis

from cache.connection import CacheUnavailable
from cache.heartbeats import beat, read_beats


async def test_a_beat_is_read_back_with_its_facts(redis: Redis) -> None:
    await beat(redis, "listener", {"lag_ms": 1.5, "feed": "zerodha", "connected": True})
    beats = await read_beats(redis)
    assert dict(beats["listener"].data) == {"lag_ms": 1.5, "feed": "zerodha", "connected": True}


async def test_only_the_asked_kind_is_read(redis: Redis) -> None:
    await beat(redis, "worker:a", {})
    await beat(redis, "worker:b", {})
    await beat(redis, "listener", {})
    assert set(await read_beats(redis, "worker:")) == {"worker:a", "worker:b"}


async def test_one_that_stopped_beating_is_absent(redis: Redis) -> None:
    await beat(redis, "worker:a", {})
    assert 0 < await redis.pttl("heartbeat:worker:a") <= 5_000
    await redis.delete("heartbeat:worker:a")
    assert await read_beats(redis) == {}


async def test_without_redis_it_says_so(absent_redis: Redis) -> None:
    with pytest.raises(CacheUnavailable):
        await beat(absent_redis, "listener", {})
    with pytest.raises(CacheUnavailable):
        await read_beats(absent_redis)
