"""At most one stack per state folder: a lock held by the supervisor for its whole life, and its record beside it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.errors import StackError
from local.record import StackRecord

_PAUSE_SECONDS = 0.05


def record_path(state: Path) -> Path:
    return state / "stack.json"


def running_stack(state: Path) -> StackRecord | None:
    """The record of the stack that runs now. None when nothing runs, whatever a killed supervisor has left on disk."""
    if not _is_locked(state):
        return None
    record = StackRecord.read(record_path(state))
    return record if record is not None and record.supervisor.living() is not None else None


@contextmanager
def only_stack(state: Path) -> Iterator[None]:
    """Raises StackError, with process id and addresses, while another supervisor holds the folder."""
    state.mkdir(parents=True, exist_ok=True)
    with _lock_path(state).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(_already_running(state)) from None
        yield


def wait_until_stopped(state: Path, *, limit_seconds: float) -> bool:
    """False when the supervisor still holds the folder at the end of the limit."""
    deadline = time.monotonic() + limit_seconds
    while _is_locked(state):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def _already_running(state: Path) -> str:
    record = running_stack(state)
    if record is None:
        return "the stack is just starting or ending: try again in a moment"
    where = ", ".join(f"{title} {url}" for title, url in record.addresses.items())
    return f"the stack is running already (process {record.supervisor.pid}): {where or 'still starting'}; `make down` stops it"


def _is_locked(state: Path) -> bool:
    path = _lock_path(state)
    if not path.exists():
        return False
    with path.open("r") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _lock_path(state: Path) -> Path:
    return Path(os.path.abspath(state)) / "stack.lock"
