"""A virtual environment of its own for the official client, made once per lock file."""

import fcntl
import hashlib
import os
import subprocess
import venv
from pathlib import Path

LOCK = Path(__file__).parent / "requirements.lock"


class CannotMakeEnvironment(Exception):
    """The client's environment cannot be made; the message is one sentence."""


def client_python() -> Path:
    """The interpreter that has the official client. Raises CannotMakeEnvironment, for example without a network."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "algo-trading"
    folder = cache / f"venv-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    python, complete = folder / "bin" / "python", folder / "complete"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            venv.create(folder, clear=True, with_pip=True)
            _install(python)
            complete.touch()
    return python


def _install(python: Path) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(LOCK)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CannotMakeEnvironment(
            f"The official kiteconnect client could not be installed (a package index must be reachable once): {reason}"
        )
