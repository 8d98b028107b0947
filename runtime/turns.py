"""Turns at brokers' limits, shared by all processes through Redis; by what this process knows itself while Redis is away."""

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from datetime import date
from typing import Any, TypeVar
from uuid import uuid4

import structlog

from brokers.turns import COMPLAINTS_APART_SECONDS, LocalTurns, Window
from cache.connection import CacheUnavailable
from cache.turns import RedisTurns
from trading.ports.clock import Clock

T = TypeVar("T")
_log = structlog.get_logger()

# After a failure Redis is left alone for this long, so that no read of a book waits for it again and again.
REST_SECONDS = 5.0


class SharedTurns:
    """Implements `brokers.turns.Turns`. What was taken is remembered here too: whoever loses Redis in the middle of a minute
    still knows its own calls of that minute."""

    def __init__(self, shared: RedisTurns, clock: Clock) -> None:
        self._shared = shared
        self._own = LocalTurns(clock)
        self._clock = clock
        self._rests_until = 0.0
        self._notes: set[asyncio.Task[None]] = set()

    async def take(self, account: str, windows: Sequence[Window]) -> float:
        wait = await self._ask(self._shared.take(account, windows, turn=uuid4().hex))
        if wait is None:
            return await self._own.take(account, windows)
        if wait <= 0:
            for window in windows:
                self._own.note(account, window)
        return max(wait, 0.0)

    def note(self, account: str, window: Window) -> None:
        """An order is leaving: the others hear of it in its wake."""
        self._own.note(account, window)
        self._in_background(self._ask(self._shared.note(account, window, turn=uuid4().hex)))

    async def complain(self, account: str, day: date) -> None:
        await self._own.complain(account, day)
        await self._ask(self._shared.complain(account, day, apart_seconds=COMPLAINTS_APART_SECONDS))

    async def complaints(self, account: str, day: date) -> int:
        own, shared = await self._own.complaints(account, day), await self._ask(self._shared.complaints(account, day))
        return max(own, shared or 0)

    async def _ask(self, asking: Coroutine[Any, Any, T]) -> T | None:
        """None: Redis does not say."""
        if self._clock.monotonic() < self._rests_until:
            asking.close()
            return None
        try:
            return await asking
        except CacheUnavailable as error:
            self._rests_until = self._clock.monotonic() + REST_SECONDS
            _log.warning("turns_without_redis", error=str(error))
            return None

    def _in_background(self, work: Awaitable[None]) -> None:
        async def done() -> None:
            await work

        task = asyncio.get_running_loop().create_task(done())
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def close(self) -> None:
        await asyncio.gather(*self._notes)
        await self._shared.close()
