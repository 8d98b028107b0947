"""Ending background tasks for certain."""

import asyncio
from collections.abc import Iterable
from typing import Any

# A library below may swallow one cancellation; it is repeated at this pace (seconds) until the task has ended.
REPEAT_SECONDS = 0.5


async def end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel the tasks and wait until each has ended; what they raise while ending is theirs."""
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=REPEAT_SECONDS)
