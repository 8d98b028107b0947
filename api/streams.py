"""Live streams: who waits for a user's news is woken by Redis, or looks for itself while Redis is away. Postgres decides."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from redis.asyncio import Redis

from cache.channels import listen_run_events
from cache.connection import CacheUnavailable

log = structlog.get_logger()

# A lost message is repaired this soon; without Redis this is how often everyone looks.
LOOK_SECONDS = 5.0
LOOK_WITHOUT_REDIS_SECONDS = 1.0
RECONNECT_SECONDS = 1.0


class Bell:
    """Rung when there may be something new; rings that come while nobody listens are kept as one."""

    def __init__(self, hub: "EventHub") -> None:
        self._hub = hub
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self) -> None:
        """Returns when rung, or when it is time to look anyway."""
        try:
            async with asyncio.timeout(self._hub.look_seconds):
                await self._rung.wait()
        except TimeoutError:
            return
        finally:
            self._rung.clear()


class EventHub:
    """One Redis subscription for all streams of this process."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._bells: dict[str, set[Bell]] = {}
        self._connected = False

    @property
    def look_seconds(self) -> float:
        return LOOK_SECONDS if self._connected else LOOK_WITHOUT_REDIS_SECONDS

    @property
    def open_streams(self) -> int:
        return sum(map(len, self._bells.values()))

    @contextmanager
    def bell(self, user_id: str) -> Iterator[Bell]:
        """Rung at every news of that user while the block lasts."""
        bell = Bell(self)
        self._bells.setdefault(user_id, set()).add(bell)
        try:
            yield bell
        finally:
            self._bells[user_id].discard(bell)
            if not self._bells[user_id]:
                del self._bells[user_id]

    async def run(self) -> None:
        """Listen for as long as the process lives; Redis may come and go."""
        while True:
            try:
                await self._listen()
            except CacheUnavailable as error:
                if self._connected:
                    log.warning("streams_without_redis", error=str(error))
            self._connected = False
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        async with listen_run_events(self._redis) as hints:
            self._connected = True
            # Whatever was published before this subscription may have been missed.
            for bells in self._bells.values():
                for bell in bells:
                    bell.ring()
            async for hint in hints:
                for bell in self._bells.get(hint.user_id, ()):
                    bell.ring()
