"""Ends a test process whose test has hung beyond its own time limit.

pytest-timeout raises inside the hung test, once. Whoever catches that (an event loop that waits for a task which will not be
cancelled, Hypothesis, which plays the example again) hangs for ever. The watchdog ends the process: xdist names the test, starts
another process and goes on; where it hung is printed at the end.
"""

import asyncio
import faulthandler
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# After pytest-timeout had its chance, and the fixtures theirs to clear up.
GRACE_SECONDS = 60.0
EXIT_CODE = 86
_SUFFIX = ".stuck.txt"


@contextmanager
def watched(test: str, limit_seconds: float, folder: Path) -> Iterator[None]:
    """`limit_seconds`: what pytest-timeout allows the test."""
    watchdog = threading.Timer(limit_seconds + GRACE_SECONDS, _bite, (test, folder))
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def reports(folder: Path) -> list[str]:
    """What was written down about each process that was ended."""
    return [path.read_text() for path in sorted(folder.glob(f"*{_SUFFIX}"))]


def _bite(test: str, folder: Path) -> None:
    with (folder / f"{os.getpid()}{_SUFFIX}").open("w") as report:
        report.write(f"{test} hung and its process was ended. It stood here:\n")
        report.flush()
        faulthandler.dump_traceback(report, all_threads=True)
        for task in _tasks():
            report.write("\n")
            task.print_stack(file=report)
    os._exit(EXIT_CODE)


def _tasks() -> list["asyncio.Task[object]"]:
    """Of whatever loop: the one that hangs runs in another thread."""
    return [task for task in list(asyncio.tasks._all_tasks) if not task.done()]  # type: ignore[attr-defined]
