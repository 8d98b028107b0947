"""Small parts for the supervisor: processes that say when they are ready and how they end."""

import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import psutil

from local.part import Part

_ROOT = Path(__file__).parents[2]


def fake_part(name: str, folder: Path, *, mood: str = "obedient", stop_timeout_seconds: float = 10.0) -> Part:
    """A process that writes its id to `<folder>/<name>.pid` and, told to end, its name to `<folder>/ended`."""
    pid_file = folder / f"{name}.pid"

    async def ready(_started_at: datetime) -> bool:
        return pid_file.exists() and pid_file.read_text() != ""

    return Part(
        name=name,
        command=(sys.executable, "-m", "tests.local.parts_for_tests", name, str(folder), mood),
        ready=ready,
        directory=_ROOT,
        environment={"PATH": os.environ["PATH"]},
        prepare=lambda: pid_file.unlink(missing_ok=True),
        ready_timeout_seconds=30,
        stop_timeout_seconds=stop_timeout_seconds,
    )


def job(name: str, code: str) -> Part:
    """A part that is done when it has ended."""
    return Part(name=name, command=(sys.executable, "-c", code), ready=None, environment={"PATH": os.environ["PATH"]})


def pid_of(name: str, folder: Path) -> int:
    return int((folder / f"{name}.pid").read_text())


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(*pids: int) -> Callable[[], bool]:
    return lambda: not any(is_alive(pid) for pid in pids)


def main(name: str, folder: Path, mood: str) -> None:
    if mood == "stillborn":
        sys.exit("cannot open the window")
    if mood == "once" and (folder / f"{name}.ran").exists():
        sys.exit("only once")
    (folder / f"{name}.ran").touch()
    if mood == "parent":
        child = os.fork()
        if child == 0:
            time.sleep(600)
        (folder / f"{name}.child").write_text(str(child))
    if mood == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: _say_goodbye(name, folder))
    unfinished = folder / f"{name}.unfinished"
    unfinished.write_text(str(os.getpid()))
    unfinished.rename(folder / f"{name}.pid")
    while True:
        signal.pause()


def _say_goodbye(name: str, folder: Path) -> None:
    with (folder / "ended").open("a") as ended:
        ended.write(f"{name}\n")
    sys.exit(0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
