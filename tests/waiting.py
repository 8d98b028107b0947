"""Waiting for something to become true, with a deadline that only a failure meets."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_SECONDS = 30.0
_PAUSE_SECONDS = 0.02


async def eventually(condition: Callable[[], object], what: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Fails the test with `what` when `condition` has not become true in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_seconds
    while not condition():
        assert loop.time() < deadline, f"not within {deadline_seconds:.0f} s: {what}"
        await asyncio.sleep(_PAUSE_SECONDS)


def eventually_blocking(condition: Callable[[], object], what: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """The same for tests without an event loop."""
    deadline = time.monotonic() + deadline_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {deadline_seconds:.0f} s: {what}"
        time.sleep(_PAUSE_SECONDS)


async def eventually_asked(
    ask: Callable[[], Awaitable[T]], condition: Callable[[T], object], what: str, *, deadline_seconds: float = DEADLINE_SECONDS
) -> T:
    """As `eventually`, for what has to be asked for; returns the answer that met the condition."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_seconds
    while not condition(answer := await ask()):
        assert loop.time() < deadline, f"not within {deadline_seconds:.0f} s: {what}; last: {answer}"
        await asyncio.sleep(_PAUSE_SECONDS)
    return answer
