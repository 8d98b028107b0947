"""Who follows a paper account's orders is woken here: one Redis subscription for all accounts of the process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
from redis.asyncio import Redis

from cache.channels import listen_paper_changed, publish_paper_changed
from cache.connection import CacheUnavailable
from trading.ports.broker import BrokerUnavailable

_log = structlog.get_logger()

CONNECT_SECONDS = 2.0


class Follower:
    """One who follows one account. `wait` returns when something has changed, and raises once the subscription is lost."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._lost = ""

    def wake(self) -> None:
        self._woken.set()

    def lose(self, why: str) -> None:
        self._lost = why
        self._woken.set()

    async def wait(self) -> None:
        """Raises BrokerUnavailable."""
        await self._woken.wait()
        self._woken.clear()
        if self._lost:
            raise BrokerUnavailable(self._lost)


class PaperUpdates:
    """Subscribes with the first follower and leaves with the last."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._followers: dict[str, set[Follower]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()

    @asynccontextmanager
    async def follow(self, account_id: str) -> AsyncIterator[Follower]:
        """Connected while the block lasts. Raises BrokerUnavailable when Redis is away."""
        follower = Follower()
        self._followers.setdefault(account_id, set()).add(follower)
        try:
            await self._connect()
            yield follower
        finally:
            self._followers[account_id].discard(follower)
            if not self._followers[account_id]:
                del self._followers[account_id]
            if not self._followers:
                self.close()

    async def _connect(self) -> None:
        if self._listening is None or self._listening.done():
            self._connected.clear()
            self._listening = asyncio.create_task(self._listen(), name="paper updates")
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._connected.wait()
        except TimeoutError:
            raise BrokerUnavailable("updates of paper orders need Redis, which is away") from None

    async def _listen(self) -> None:
        """Until Redis is lost; those who follow then come back and begin anew."""
        try:
            async with listen_paper_changed(self._redis) as batches:
                self._connected.set()
                async for batch in batches:
                    for account_id in batch:
                        for follower in self._followers.get(account_id, ()):
                            follower.wake()
            why = "the updates ended"
        except CacheUnavailable as error:
            why = str(error)
        _log.info("paper_updates_lost", error=why)
        for followers in self._followers.values():
            for follower in followers:
                follower.lose(why)

    def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None


async def tell_changed(redis: Redis, account_ids: Sequence[str]) -> None:
    """A hint: whoever misses it finds the same in the books."""
    try:
        await publish_paper_changed(redis, account_ids)
    except CacheUnavailable as error:
        _log.info("paper_change_not_told", error=str(error))
