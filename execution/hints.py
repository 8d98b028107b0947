"""What order streams say of fills, stored for many orders in one transaction.

A herd that buys on one second fills on the next: a transaction for each would leave the last of a thousand positions without its
stop for many seconds. Whoever comes alone is stored alone, at once.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from execution.follow import Followed, Sight, record_look, record_looks
from execution.rush import Rush
from storage.database import Database
from trading.ports.clock import Clock

# Their runs are locked together, and a crossed stop may have to wait for one of them: some tens of milliseconds.
AT_ONCE = 25


@dataclass(frozen=True, slots=True)
class _Waiting:
    sight: Sight
    stored: "asyncio.Future[Followed]"

    def answer(self, followed: Followed) -> None:
        if not self.stored.done():
            self.stored.set_result(followed)

    def fail(self, error: BaseException) -> None:
        if not self.stored.done():
            self.stored.set_exception(error)


class FillHints:
    """One per process, for all of its desks."""

    def __init__(self, database: Database, clock: Clock, rush: Rush) -> None:
        self._database = database
        self._rush = rush
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._storing: asyncio.Task[None] | None = None
        self._alone: set[asyncio.Task[None]] = set()

    async def store(self, sight: Sight) -> Followed:
        """What became of it. Raises LookupError when the order's row is gone, and what the database raises."""
        waiting = _Waiting(sight, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._storing is None or self._storing.done():
            self._storing = asyncio.create_task(self._store_all())
        return await waiting.stored

    async def _store_all(self) -> None:
        while self._waiting:
            batch: list[_Waiting] = []
            try:
                await self._rush.pass_by()
                batch = self._take_batch()
                await self._store_together(batch)
            except Exception as error:  # noqa: BLE001 (nothing is lost: each is tried alone, and tells whoever waits)
                self._after_failure(batch, error)
            except BaseException as error:  # the process is ending
                for waiting in (*batch, *self._waiting):
                    waiting.fail(error)
                raise

    def _take_batch(self) -> list[_Waiting]:
        """The first that wait, one of each run: a second look at a run is decided on what the first has changed."""
        batch: dict[str, _Waiting] = {}
        later: list[_Waiting] = []
        while self._waiting and len(batch) < AT_ONCE:
            waiting = self._waiting.popleft()
            if waiting.stored.done():
                continue  # nobody waits for it any more: its desk is closed
            if waiting.sight.run_id in batch:
                later.append(waiting)
            else:
                batch[waiting.sight.run_id] = waiting
        self._waiting.extendleft(reversed(later))
        return list(batch.values())

    async def _store_together(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        async with self._database.transaction() as session:
            followed = await record_looks(session, [waiting.sight for waiting in batch], now=self._clock.now())
        for waiting, one in zip(batch, followed, strict=True):
            if one is None:
                self._wait_alone(waiting)
            else:
                waiting.answer(one)

    def _after_failure(self, batch: list[_Waiting], error: Exception) -> None:
        for waiting in batch:
            if _is_away(error):
                waiting.fail(error)
            else:
                self._wait_alone(waiting)

    def _wait_alone(self, waiting: _Waiting) -> None:
        """Beside the others: whoever holds its rows, stuck perhaps, holds nobody else up."""
        task = asyncio.create_task(self._store_alone(waiting))
        self._alone.add(task)
        task.add_done_callback(self._alone.discard)

    async def _store_alone(self, waiting: _Waiting) -> None:
        try:
            async with self._database.transaction() as session:
                followed = await record_look(session, waiting.sight, now=self._clock.now())
        except BaseException as error:
            waiting.fail(error)
            if not isinstance(error, Exception):
                raise
        else:
            waiting.answer(followed)


def _is_away(error: Exception) -> bool:
    """The database cannot be reached: asking once for each of them would only take longer."""
    return isinstance(error, OSError | TimeoutError) or (isinstance(error, DBAPIError) and error.connection_invalidated)
