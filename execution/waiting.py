"""Waiting for rows: activities wait here until a run has come far enough. One query serves all who wait in this process."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from execution.floor import Floor
from execution.rows import load_runs
from execution.tasks import end
from storage.database import Database
from storage.models import Order, Run

T = TypeVar("T")
Check = Callable[[Run, list[Order]], T | None]
_log = structlog.get_logger()

# How long a change in the rows may go unnoticed when nobody tells us of it (seconds).
POLL_SECONDS = 0.25
RUNS_AT_ONCE = 200


class _Waiter(Generic[T]):
    def __init__(self, check: Check[T]) -> None:
        self.check = check
        self.answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()


class RunWatch:
    """`start` it once per process; `until` may be called by any number of tasks."""

    def __init__(self, database: Database, floor: Floor) -> None:
        self._database = database
        self._floor = floor
        self._waiting: dict[str, list[_Waiter[object]]] = {}
        self._someone_waits = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._loop = asyncio.create_task(self._run(), name="run watch")

    async def close(self) -> None:
        if self._loop is not None:
            await end([self._loop])

    async def until(self, run_id: str, check: Check[T], *, timeout: float) -> T | None:
        """What `check` says as soon as it is not None, or None after `timeout` seconds."""
        waiter = _Waiter(check)
        self._waiting.setdefault(run_id, []).append(waiter)  # type: ignore[arg-type]
        self._someone_waits.set()
        try:
            async with asyncio.timeout(timeout):
                return await waiter.answer
        except TimeoutError:
            return None
        finally:
            left = [other for other in self._waiting.get(run_id, []) if other is not waiter]
            self._waiting[run_id] = left
            if not left:
                del self._waiting[run_id]

    async def _run(self) -> None:
        while True:
            await self._someone_waits.wait()
            if not self._waiting:
                self._someone_waits.clear()
                continue
            try:
                await self._ask()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                _log.warning("run_watch_failed", error=str(error))
            await self._floor.changed(POLL_SECONDS)

    async def _ask(self) -> None:
        ids = list(self._waiting)
        for start in range(0, len(ids), RUNS_AT_ONCE):
            async with self._database.transaction() as session:
                runs = await load_runs(session, ids[start : start + RUNS_AT_ONCE])
            for run, orders in runs:
                self._answer(run, orders)

    def _answer(self, run: Run, orders: list[Order]) -> None:
        for waiter in self._waiting.get(run.id, []):
            if waiter.answer.done():
                continue
            try:
                answer = waiter.check(run, orders)
            except Exception as error:  # noqa: BLE001 (handed to the one who waits, whose check it was)
                waiter.answer.set_exception(error)
                continue
            if answer is not None:
                waiter.answer.set_result(answer)
