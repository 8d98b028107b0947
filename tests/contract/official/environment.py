"""A virtual environment of its own for each official client, made once per lock file."""

import fcntl
import hashlib
import os
import subprocess
import venv
from pathlib import Path


class CannotMakeEnvironment(Exception):
    """The client's environment cannot be made; the message is one sentence."""


def client_python(folder_of_lock: Path) -> Path:
    """The interpreter that has the client pinned by `requirements.lock` in that folder. Raises CannotMakeEnvironment, for example
    without a network."""
    pinned = folder_of_lock / "requirements.lock"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "algo-trading"
    folder = cache / f"venv-{hashlib.sha256(pinned.read_bytes()).hexdigest()[:16]}"
    python, complete = folder / "bin" / "python", folder / "complete"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            venv.create(folder, clear=True, with_pip=True)
            _install(python, pinned)
            complete.touch()
    return python


def _install(python: Path, pinned: Path) -> None:
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
        str(pinned),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CannotMakeEnvironment(
            f"The client of {pinned.parent.name} could not be installed (a package index must be reachable once): {reason}"
        )
