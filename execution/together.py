"""Storing for many runs in one transaction what came for each by itself.

A herd that buys on one second is answered and filled on the next: a transaction for each would leave the last of a thousand
positions without its stop for many seconds. Whoever comes alone is stored alone, at once.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from execution.rush import Rush
from storage.database import Database

# Their runs are locked together, and a crossed stop may have to wait for one of them: some tens of milliseconds.
AT_ONCE = 25
# Transactions at a time, of different runs: while Postgres works on one, this process prepares the other. With one alone it
# waited for a third of the time until a herd was covered.
LANES = 2
# Who lets the stored go first waits no longer than this (seconds).
LONGEST_WAIT = 1.0

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    run_id: str
    stored: "asyncio.Future[Result]"

    def answer(self, result: Result) -> None:
        if not self.stored.done():
            self.stored.set_result(result)

    def fail(self, error: BaseException) -> None:
        if not self.stored.done():
            self.stored.set_exception(error)


class Together(Generic[Item, Result]):
    """One per process and kind of item.

    `store_all` is given items of different runs, or of different types, and waits for nobody: None where a run is locked by
    somebody else.
    `store_one` waits for its locks.
    """

    def __init__(
        self,
        database: Database,
        rush: Rush,
        *,
        run_of: Callable[[Item], str],
        store_all: Callable[[AsyncSession, Sequence[Item]], Awaitable[Sequence[Result | None]]],
        store_one: Callable[[AsyncSession, Item], Awaitable[Result]],
        at_once: int = AT_ONCE,
    ) -> None:
        self._database = database
        self._rush = rush
        self._run_of = run_of
        self._store_each = store_one
        self._at_once = at_once
        self._store_many = store_all
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._lanes: list[asyncio.Task[None]] = []
        # Runs whose news is being stored in some lane.
        self._under_way: set[str] = set()
        self._alone: set[asyncio.Task[None]] = set()

    async def store(self, item: Item) -> Result:
        """What became of it. Raises what `store_one` and the database raise."""
        waiting: _Waiting[Item, Result] = _Waiting(item, self._run_of(item), asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._lanes = [lane for lane in self._lanes if not lane.done()]
        if len(self._lanes) < LANES:
            self._lanes.append(asyncio.create_task(self._store_all()))
        return await waiting.stored

    async def pass_by(self, *, at_most: float = LONGEST_WAIT) -> None:
        """Wait until what waits to be stored is, and no longer than that many seconds."""
        if self._lanes:
            await asyncio.wait(self._lanes, timeout=at_most)

    async def _store_all(self) -> None:
        """Until nothing waits but news of runs that another lane has under way: that lane looks again when it has stored them."""
        while self._waiting:
            batch: list[_Waiting[Item, Result]] = []
            try:
                await self._rush.pass_by()
                batch = self._take_batch()
                if not batch:
                    return
                await self._store_together(batch)
            except Exception as error:  # noqa: BLE001 (nothing is lost: each is tried alone, and tells whoever waits)
                self._after_failure(batch, error)
            except BaseException as error:  # the process is ending
                for waiting in (*batch, *self._waiting):
                    waiting.fail(error)
                raise
            finally:
                self._under_way -= {waiting.run_id for waiting in batch}

    def _take_batch(self) -> list[_Waiting[Item, Result]]:
        """What waits for the first runs that wait, one of each kind: the second fill of a run is decided on what the first has
        changed."""
        batch: dict[tuple[str, type[Item]], _Waiting[Item, Result]] = {}
        runs: set[str] = set()
        later: deque[_Waiting[Item, Result]] = deque()
        for waiting in self._waiting:
            if waiting.stored.done():
                continue  # nobody waits for it any more: its desk is closed
            key, run_id = (waiting.run_id, type(waiting.item)), waiting.run_id
            if key in batch or run_id in self._under_way or (run_id not in runs and len(runs) >= self._at_once):
                later.append(waiting)
            else:
                runs.add(run_id)
                batch[key] = waiting
        self._waiting = later
        self._under_way |= runs
        return list(batch.values())

    async def _store_together(self, batch: list[_Waiting[Item, Result]]) -> None:
        async with self._database.transaction() as session:
            results = await self._store_many(session, [waiting.item for waiting in batch])
        for waiting, result in zip(batch, results, strict=True):
            if result is None:
                self._wait_alone(waiting)
            else:
                waiting.answer(result)

    def _after_failure(self, batch: list[_Waiting[Item, Result]], error: Exception) -> None:
        for waiting in batch:
            if _is_away(error):
                waiting.fail(error)
            else:
                self._wait_alone(waiting)

    def _wait_alone(self, waiting: _Waiting[Item, Result]) -> None:
        """Beside the others: whoever holds its rows, stuck perhaps, holds nobody else up."""
        task = asyncio.create_task(self._store_alone(waiting))
        self._alone.add(task)
        task.add_done_callback(self._alone.discard)

    async def _store_alone(self, waiting: _Waiting[Item, Result]) -> None:
        try:
            async with self._database.transaction() as session:
                result = await self._store_each(session, waiting.item)
        except BaseException as error:
            waiting.fail(error)
            if not isinstance(error, Exception):
                raise
        else:
            waiting.answer(result)


def _is_away(error: Exception) -> bool:
    """The database cannot be reached: asking once for each of them would only take longer."""
    return isinstance(error, OSError | TimeoutError) or (isinstance(error, DBAPIError) and error.connection_invalidated)
