"""Makes the virtual environment: once per lock file and Python, in the user's cache, with `.venv` pointing at it.

Run by local/setup.sh before any package is there, so it imports the standard library only. A marker file is written last:
an environment without it was interrupted and is made again.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
INSTALLER_LOCK = ROOT / "requirements-uv.lock"
LINK = ROOT / ".venv"
_MARKER = ".complete"


class SetupError(Exception):
    """One sentence for the person at the terminal."""


def main() -> None:
    try:
        environment = cache_folder() / f"venv-{fingerprint()}"
        if not (environment / _MARKER).exists():
            make(environment)
        point_at(environment, link=LINK)
    except SetupError as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(130)


def fingerprint() -> str:
    """Names everything the environment depends on: the locks, and the Python it was made with."""
    digest = hashlib.sha256(f"{sys.version} {sys.base_prefix} {platform.machine()}".encode())
    for lock in (LOCK, INSTALLER_LOCK):
        digest.update("".join(line for line in lock.open() if not line.lstrip().startswith("#")).encode())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """The same folder as local/cache.py, which cannot be imported yet."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "algo-trading"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"{folder} cannot be made ({error.strerror}): set XDG_CACHE_HOME to a folder you can write to."
        ) from error
    return folder


def make(environment: Path) -> None:
    """One at a time: whoever waits for the lock finds the work done."""
    with environment.with_name(environment.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (environment / _MARKER).exists():
            return
        shutil.rmtree(environment, ignore_errors=True)
        log = environment.with_name(environment.name + ".log")
        log.unlink(missing_ok=True)
        python = environment / "bin" / "python"
        with step(f"Making an environment for Python {platform.python_version()}"):
            run(
                [sys.executable, "-m", "venv", str(environment)],
                log,
                hint="Is the venv module installed, python3-venv on Debian?",
            )
        with step(f"Installing {count_packages()} packages"):
            install(python, log)
        (environment / _MARKER).touch()


def install(python: Path, log: Path) -> None:
    """uv where it can be had and nothing tells pip of an index that uv would not know; else pip. Hashes are required by both."""
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    uv = [str(python), "-m", "uv", "pip", "install", "--quiet", "--require-hashes", "--compile-bytecode", "--python", str(python)]
    uv_is_here = not pip_has_its_own_index(python) and succeeds([*pip, "--only-binary=:all:", "-r", str(INSTALLER_LOCK)], log)
    if uv_is_here and succeeds([*uv, "-r", str(LOCK)], log):
        return
    run([*pip, "-r", str(LOCK)], log, hint="Is there a way to a package index?")


def pip_has_its_own_index(python: Path) -> bool:
    listed = subprocess.run([str(python), "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)  # noqa: S603
    return "index-url" in listed.stdout


def succeeds(command: list[str], log: Path) -> bool:
    # pip trusts the certificates of the system, uv only when told to.
    environment = {"UV_NATIVE_TLS": "true", **os.environ}
    with log.open("ab") as output:
        return subprocess.run(command, stdout=output, stderr=output, env=environment, check=False).returncode == 0  # noqa: S603


def run(command: list[str], log: Path, *, hint: str) -> None:
    if not succeeds(command, log):
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        reason = lines[-1] if lines else "no reason given"
        raise SetupError(f"The environment could not be made: {reason} ({hint}) The whole story is in {log}.")


def count_packages() -> int:
    return sum(1 for line in LOCK.read_text().splitlines() if "==" in line and not line.startswith((" ", "#")))


def point_at(environment: Path, *, link: Path) -> None:
    """It becomes a link in one step. A folder of that name was not made here, and is not ours to remove."""
    if link.is_symlink() and link.readlink() == environment:
        return
    if link.exists() and not link.is_symlink():
        raise SetupError(f"{link} is a folder that somebody else made: move it away and run this again.")
    unfinished = link.with_name(f"{link.name}.{os.getpid()}")
    unfinished.symlink_to(environment)
    unfinished.replace(link)


@contextmanager
def step(title: str) -> Iterator[None]:
    """The title with its seconds, counting on a terminal."""
    began = time.monotonic()
    done = threading.Event()
    ticker = threading.Thread(target=_tick, args=(title, began, done), daemon=True)
    ticker.start()
    mark = "✘"
    try:
        yield
        mark = "✔"
    finally:
        done.set()
        ticker.join()
        start = "\r\033[K" if sys.stdout.isatty() else ""
        sys.stdout.write(f"{start}{mark} {title} {time.monotonic() - began:.1f} s\n")
        sys.stdout.flush()


def _tick(title: str, began: float, done: threading.Event) -> None:
    if not sys.stdout.isatty():
        sys.stdout.write(f"… {title}\n")
        sys.stdout.flush()
        return
    while not done.wait(0.2):
        sys.stdout.write(f"\r\033[K… {title} {time.monotonic() - began:.0f} s")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
