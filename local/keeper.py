"""Keeps one embedded server running for as long as another process lives: `python -m local.keeper PART FOLDER PID`.

The servers of a test run are shared by several processes, none of which outlives the others for certain. A keeper belongs to
none of them: it ends its server when the watched process is gone, however it went, or when it is told to (SIGTERM).
It reports in FOLDER/PART.json: `{"keeper": pid, "address": ...}` once the server is ready, or `{"error": sentence}`.
"""

import asyncio
import json
import signal
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from local.child import Child
from local.errors import StackError
from local.part import Part
from local.parts.testing import build_part

_WATCH_PAUSE_SECONDS = 0.25
_STARTS = 3


async def keep(part: Part, *, folder: Path, watched_pid: int) -> None:
    """Runs `part` until the watched process or the part itself ends, or until this task is cancelled. Raises StackError."""
    child = Child(part, log_path=folder / f"{part.name}.log")
    await child.start()
    try:
        write_report(folder / f"{part.name}.json", {"keeper": str(psutil.Process().pid), "address": part.address})
        watch = asyncio.create_task(_until_gone(watched_pid))
        ended = asyncio.create_task(child.wait())
        await asyncio.wait({watch, ended}, return_when=asyncio.FIRST_COMPLETED)
        watch.cancel()
        ended.cancel()
    finally:
        await child.stop()


def write_report(path: Path, report: dict[str, str]) -> None:
    """Readers see the whole report or none."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(report))
    unfinished.replace(path)


async def _until_gone(pid: int) -> None:
    """psutil compares start times, so a reused process id is not mistaken for the watched process."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110 - a foreign process sets no event
            await asyncio.sleep(_WATCH_PAUSE_SECONDS)


async def _keep_by_name(name: str, folder: Path, watched_pid: int) -> None:
    for tries_left in reversed(range(_STARTS)):
        try:
            await keep(build_part(name, folder=folder), folder=folder, watched_pid=watched_pid)
            return
        except StackError as error:
            # A port that was free a moment ago may have been taken since: the next try has others.
            if not tries_left:
                write_report(folder / f"{name}.json", {"error": str(error)})


async def _main(name: str, folder: Path, watched_pid: int) -> None:
    task = asyncio.ensure_future(_keep_by_name(name, folder, watched_pid))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
