"""What is made once per machine and shared by all checkouts: `$XDG_CACHE_HOME/algo-trading`, else `~/.cache/algo-trading`."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.errors import StackError


def cache_folder() -> Path:
    """Made if missing. Raises StackError when it cannot be."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "algo-trading"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(
            f"{folder} cannot be made ({error.strerror}): set XDG_CACHE_HOME to a folder you can write to"
        ) from error
    return folder


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """One process at a time may make `target`; the others wait here and then find it made."""
    with target.with_name(target.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
