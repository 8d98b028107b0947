"""The servers a test run shares: started when the first test asks, ended when the run ends, by any end.

The process that runs pytest (with xdist: its controller) owns a private folder. Whoever needs a server first starts a keeper
for it (local/keeper.py) under a file lock; all others find its address in the folder.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import psutil

from local.errors import StackError
from local.record import ProcessIdentity

_FOLDER_VARIABLE = "ALGO_TRADING_TEST_FOLDER"
_OWNER_VARIABLE = "ALGO_TRADING_TEST_OWNER"
_PREFIX = "algo-tests-"
_OWNER_FILE = "owner"
_START_LIMIT_SECONDS = 60.0
_STOP_LIMIT_SECONDS = 20.0
_PAUSE_SECONDS = 0.02
ROOT = Path(__file__).parents[1]


def open_stack() -> None:
    """Called once by the owner, before any worker is started: workers inherit the environment."""
    _remove_folders_of_killed_runs()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    unfinished = folder / "owner.unfinished"
    unfinished.write_text(json.dumps(asdict(_this_process())))
    unfinished.rename(folder / _OWNER_FILE)
    os.environ[_FOLDER_VARIABLE] = str(folder)
    os.environ[_OWNER_VARIABLE] = str(os.getpid())


def close_stack() -> None:
    """Called once by the owner: ends every keeper, and with it every server, and removes the folder."""
    folder = Path(os.environ.pop(_FOLDER_VARIABLE))
    keepers = [psutil.Process(int(pid)) for report in folder.glob("*.json") if (pid := _living_keeper(report)) is not None]
    for keeper in keepers:
        with suppress(psutil.NoSuchProcess):
            keeper.send_signal(signal.SIGTERM)
    psutil.wait_procs(keepers, timeout=_STOP_LIMIT_SECONDS)
    shutil.rmtree(folder)


def folder() -> Path:
    return Path(os.environ[_FOLDER_VARIABLE])


def address_of(server: str) -> str:
    """Where `server` listens; starts it if nobody has. Raises StackError, for every test alike, when it cannot start."""
    report_path = folder() / f"{server}.json"
    with locked(server):
        if not report_path.exists():
            _start_keeper(server, report_path)
    report = json.loads(report_path.read_text())
    if "error" in report:
        raise StackError(report["error"])
    return str(report["address"])


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process of the test run at a time."""
    with (folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _this_process() -> ProcessIdentity:
    identity = ProcessIdentity.of(os.getpid())
    assert identity is not None
    return identity


def _remove_folders_of_killed_runs() -> None:
    """Their servers have ended by themselves; only their folders could not."""
    for owner_path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_OWNER_FILE}"):
        with suppress(FileNotFoundError):  # another run may be clearing up at this moment
            if ProcessIdentity(**json.loads(owner_path.read_text())).living() is None:
                shutil.rmtree(owner_path.parent)


def _start_keeper(server: str, report_path: Path) -> None:
    output_path = folder() / f"{server}.keeper.log"
    command = [sys.executable, "-m", "local.keeper", server, str(folder()), os.environ[_OWNER_VARIABLE]]
    with output_path.open("w") as output:
        # A session of its own: Ctrl-C belongs to pytest, which then closes the stack in order.
        keeper = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
    deadline = time.monotonic() + _START_LIMIT_SECONDS
    while not report_path.exists():
        if keeper.poll() is not None and not report_path.exists():
            raise StackError(f"the keeper of {server} ended with code {keeper.returncode}: {output_path.read_text()}")
        if time.monotonic() > deadline:
            keeper.kill()
            raise StackError(f"{server} did not start within {_START_LIMIT_SECONDS:.0f} s")
        time.sleep(_PAUSE_SECONDS)


def _living_keeper(report: Path) -> str | None:
    pid: str | None = json.loads(report.read_text()).get("keeper")
    return pid if pid is not None and psutil.pid_exists(int(pid)) else None
