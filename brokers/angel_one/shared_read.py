"""Reads no faster than the broker allows, and one read for all who ask at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from brokers.turns import Turns, Window

Found = TypeVar("Found")

# Who has waited this long for other processes goes without a turn: one read too many is refused and asked for again, and a book
# that is read too late costs money.
PATIENCE_SECONDS = 3.0


class Pace:
    """Turns of an account with at least `gap_seconds` between them, whichever process takes them."""

    def __init__(self, turns: Turns, account: str, *, name: str, gap_seconds: float) -> None:
        self._turns = turns
        self._account = account
        self._window = Window(name, 1, gap_seconds)
        # In this process they come in the order in which they asked.
        self._queue = asyncio.Lock()

    async def turn(self) -> None:
        """Returns when it is the caller's turn, or when it has waited too long for others."""
        async with self._queue:
            patience = max(PATIENCE_SECONDS, 2 * self._window.seconds)
            while (wait := await self._turns.take(self._account, (self._window,))) > 0:
                if patience <= 0:
                    self._turns.note(self._account, self._window)
                    return
                wait = min(wait, patience)
                patience -= wait
                await asyncio.sleep(wait)


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
