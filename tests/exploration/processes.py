"""Processes that can die, be cancelled or be frozen between any two of their awaits, inside one event loop.

Every task that a process starts is driven through `_Mortal`, which counts how often it is resumed. A process that dies is never
resumed again: no `finally` and no `except` of it runs, and whatever it had on the way (a transaction, an answer) is lost.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")

_process: ContextVar["Process | None"] = ContextVar("process", default=None)
_counts: ContextVar[bool] = ContextVar("counts", default=True)


class ProcessOver(Exception):
    """The process ended before it had done what it was asked for."""


class Life(Enum):
    ALIVE = "alive"
    FROZEN = "frozen"
    DEAD = "dead"
    BURIED = "buried"  # its tasks are being cleared away, cut off from everything


class HowItEnds(Enum):
    DIES = "dies"
    IS_CANCELLED = "is cancelled"


@contextmanager
def uncounted() -> Generator[None, None, None]:
    """What the test itself awaits on behalf of a process is no point at which it dies."""
    token = _counts.set(False)
    try:
        yield
    finally:
        _counts.reset(token)


class Process:
    """`ends_at`: the resumption (counted from 1) at which it ends. `on_resume` is called at each with its number."""

    def __init__(self, name: str, *, ends_at: int | None = None, how: HowItEnds = HowItEnds.DIES) -> None:
        self.name = name
        self.life = Life.ALIVE
        self.resumed = 0
        self.over = asyncio.Event()
        self.tasks: list[asyncio.Task[Any]] = []
        self.on_death: list[Callable[[], None]] = []
        self.on_resume: Callable[[int], None] = lambda number: None
        self._ends_at = ends_at
        self._how = how
        self._frozen: list[asyncio.Future[None]] = []

    async def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run that in a task of this process. Raises ProcessOver when it ends before the work does."""
        context = Context()
        context.run(_process.set, self)
        doing = asyncio.get_running_loop().create_task(work, context=context)
        over = asyncio.get_running_loop().create_task(self.over.wait(), context=Context())
        await asyncio.wait([doing, over], return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if self.over.is_set():
            raise ProcessOver(self.name)
        return doing.result()

    def die(self) -> None:
        if self.life is Life.DEAD:
            return
        self.life = Life.DEAD
        for tell in self.on_death:
            tell()
        self.over.set()

    def freeze(self) -> None:
        self.life = Life.FROZEN

    def thaw(self) -> None:
        assert self.life is Life.FROZEN
        self.life = Life.ALIVE
        for waiting in self._frozen:
            if not waiting.done():
                waiting.set_result(None)
        self._frozen.clear()

    async def cancel(self) -> None:
        """Cancel every task and wait until all have ended."""
        while running := [task for task in self.tasks if not task.done()]:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=0.5)

    async def cancel_rest(self) -> None:
        """Of a process that is being cancelled: wait for its end. One that is dead is left as it lies."""
        if self.life is Life.ALIVE:
            await self.cancel()
            self.die()

    async def bury(self) -> None:
        """Clear the tasks of a dead process away. Whoever may be reached by them has been told by `on_death`."""
        self.life = Life.BURIED
        await self.cancel()
        for task in self.tasks:
            if not task.cancelled():
                task.exception()

    def gate(self) -> "asyncio.Future[None] | None":
        """What a task of this process has to wait for before it goes on; None: it may go on."""
        if self.life not in (Life.DEAD, Life.FROZEN):
            return None
        # One each: whoever is cancelled while he waits cancels what he waits for.
        waiting = asyncio.get_running_loop().create_future()
        if self.life is Life.FROZEN:
            self._frozen.append(waiting)
        return waiting

    def note_resumed(self) -> bool:
        """Count; True when the task that goes on now has just been cancelled."""
        if self.life is not Life.ALIVE or not _counts.get():
            return False
        self.resumed += 1
        self.on_resume(self.resumed)
        if self.resumed != self._ends_at:
            return False
        if self._how is HowItEnds.DIES:
            self.die()
            return False
        for task in self.tasks:
            task.cancel()
        self.over.set()
        return True


class _Mortal(Coroutine[Any, Any, Any]):
    """A coroutine of a process; goes on only while the process does."""

    def __init__(self, inner: Coroutine[Any, Any, Any], process: Process) -> None:
        self._inner = inner
        self._process = process
        self._error: BaseException | None = None

    def send(self, value: Any) -> Any:
        if self._process.note_resumed():
            return self._inner.throw(asyncio.CancelledError())
        if (gate := self._process.gate()) is not None:
            return _wait_for(gate)
        if self._error is not None:
            error, self._error = self._error, None
            return self._inner.throw(error)
        return self._inner.send(value)

    def throw(self, error: Any, value: Any = None, trace: Any = None) -> Any:
        self._error = error if isinstance(error, BaseException) else error()
        return self.send(None)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise AssertionError("only a task drives this")


def _wait_for(future: "asyncio.Future[None]") -> "asyncio.Future[None]":
    """As `await future` would yield it."""
    future._asyncio_future_blocking = True
    return future


def task_factory(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], context: Context | None = None) -> Any:
    """Tasks belong to the process in whose context they are made; those of the test itself to none."""
    process = context.get(_process) if context is not None else _process.get()
    if process is None:
        return asyncio.Task(work, loop=loop, context=context)
    task: asyncio.Task[Any] = asyncio.Task(_Mortal(work, process), loop=loop, context=context)
    process.tasks.append(task)
    task.add_done_callback(lambda done: process.tasks.remove(done) if process.life is Life.ALIVE else None)
    return task


async def outside(work: Awaitable[T]) -> T:
    """Run that in a task of no process: what the exchange does goes on whoever dies."""

    async def run() -> T:
        return await work

    return await asyncio.get_running_loop().create_task(run(), context=Context())
