"""Turns at a broker's limits, counted in Redis for all processes together, by its own clock. All of it may vanish: then each
process goes by what it knows itself."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from redis.asyncio import Redis

from cache.connection import answering
from cache.keys import complaints_key, turns_key

# A read waits for it: whoever gets no answer goes by what it knows itself (seconds).
PATIENCE_SECONDS = 0.25
_TWO_DAYS_SECONDS = 172_800


class Window(Protocol):
    """At most `count` turns called `name` in any `seconds`."""

    @property
    def name(self) -> str: ...

    @property
    def count(self) -> int: ...

    @property
    def seconds(self) -> float: ...


# A sorted set of instants per window. Takes a turn in all of them, or in none. ARGV: a name for the turn, then count and seconds
# of each window; a count of zero is no limit.
_TAKE = """
local time = redis.call('TIME')
local now, wait = time[1] + time[2] / 1000000, 0
for place, key in ipairs(KEYS) do
  local count, seconds = tonumber(ARGV[2 * place]), tonumber(ARGV[2 * place + 1])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - seconds)
  if count > 0 and redis.call('ZCARD', key) >= count then
    wait = math.max(wait, redis.call('ZRANGE', key, -count, -count, 'WITHSCORES')[2] + seconds - now)
  end
end
if wait <= 0 then
  for place, key in ipairs(KEYS) do
    redis.call('ZADD', key, now, ARGV[1])
    redis.call('PEXPIRE', key, math.ceil(ARGV[2 * place + 1] * 1000) + 1000)
  end
end
return tostring(wait)
"""
# Counts once in so many seconds. KEYS: the day's count, and what marks those seconds.
_COMPLAIN = """
if redis.call('SET', KEYS[2], 1, 'NX', 'PX', ARGV[1]) then
  redis.call('INCR', KEYS[1])
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
"""


class RedisTurns:
    """Every method raises CacheUnavailable, and nothing else."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def take(self, account: str, windows: Sequence[Window], *, turn: str) -> float:
        """`turn` is a name no other turn has."""
        return await self._take(account, turn, [(window.name, window.count, window.seconds) for window in windows])

    async def note(self, account: str, window: Window, *, turn: str) -> None:
        await self._take(account, turn, [(window.name, 0, window.seconds)])

    async def _take(self, account: str, turn: str, windows: Sequence[tuple[str, int, float]]) -> float:
        keys = [turns_key(account, name) for name, _, _ in windows]
        limits = [str(figure) for _, count, seconds in windows for figure in (count, seconds)]
        async with answering(PATIENCE_SECONDS):
            return float(await self._redis.eval(_TAKE, len(keys), *keys, turn, *limits))

    async def complain(self, account: str, day: date, *, apart_seconds: float) -> None:
        keys = (complaints_key(account, day), turns_key(account, "complained"))
        async with answering(PATIENCE_SECONDS):
            await self._redis.eval(_COMPLAIN, len(keys), *keys, str(int(apart_seconds * 1000)), str(_TWO_DAYS_SECONDS))

    async def complaints(self, account: str, day: date) -> int:
        async with answering(PATIENCE_SECONDS):
            return int(await self._redis.get(complaints_key(account, day)) or 0)

    async def close(self) -> None:
        await self._redis.aclose()
