"""Reads no faster than the broker allows, and one read for all who ask at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from trading.ports.clock import Clock

Found = TypeVar("Found")


class Pace:
    """Turns with at least `gap_seconds` between them."""

    def __init__(self, *, clock: Clock, gap_seconds: float) -> None:
        self._clock = clock
        self._gap_seconds = gap_seconds
        self._next_at = 0.0

    async def turn(self) -> None:
        """Returns when it is the caller's turn."""
        now = self._clock.monotonic()
        at = max(now, self._next_at)
        self._next_at = at + self._gap_seconds
        if at > now:
            await asyncio.sleep(at - now)


class SharedRead(Generic[Found]):
    """`read` is answered by a request that left after it was asked: never by one that was already on its way, whose answer may be
    older than what the caller has just done. Whoever comes while a request waits for its turn shares it."""

    def __init__(self, fetch: Callable[[], Awaitable[Found]], *, pace: Pace) -> None:
        self._fetch = fetch
        self._pace = pace
        self._waiting: asyncio.Task[Found] | None = None

    async def read(self) -> Found:
        """Raises what the fetch raises, to everybody who shares it."""
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._in_turn())
            # Everybody who asked may have been cancelled: then nobody is left to take the error.
            self._waiting.add_done_callback(_take_error)
        return await asyncio.shield(self._waiting)

    async def _in_turn(self) -> Found:
        try:
            await self._pace.turn()
        finally:
            self._waiting = None
        return await self._fetch()


def _take_error(task: "asyncio.Task[Found]") -> None:
    if not task.cancelled():
        task.exception()
