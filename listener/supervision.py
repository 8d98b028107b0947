"""Inner tasks that never end by themselves: one that fails is started again, and says so."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

import structlog

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
# A task that ran this long before it failed is started again at once.
HEALTHY_SECONDS = 10.0
_log = structlog.get_logger()


async def supervised(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Runs `work` for ever. Whatever it raises is logged; only cancellation passes."""
    loop, pause = asyncio.get_running_loop(), FIRST_PAUSE_SECONDS
    while True:
        began_at = loop.time()
        try:
            await work()
            _log.error("listener_task_ended", task=name)
        except Exception as error:  # noqa: BLE001 (supervised loop: one broken part must not take the stops down with it)
            _log.error("listener_task_failed", task=name, error=f"{type(error).__name__}: {error}", exc_info=error)
        pause = FIRST_PAUSE_SECONDS if loop.time() - began_at > HEALTHY_SECONDS else min(pause * 2, LONGEST_PAUSE_SECONDS)
        await asyncio.sleep(pause)


async def together(*works: Coroutine[None, None, None]) -> None:
    """Runs all of them until the first one fails, ends the others, and raises that error itself, not a group of one."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = next((task for task in tasks if task.done() and not task.cancelled() and task.exception() is not None), None)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if failed is not None:
        failed.result()
