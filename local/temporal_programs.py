"""Finds programs that can serve Temporal on this machine, or gets them: the quickest way first."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

from temporalio.testing import WorkflowEnvironment

from local.cache import cache_folder
from local.errors import StackError
from local.progress import Progress
from local.temporal_build import ServerAndUi, build, built

# Eager activities and time skipping are on offer from this server on.
_OLDEST_SERVER = (1, 32)
_DOWNLOAD_LIMIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class DevServer:
    """The `temporal` command line tool, whose `server start-dev` holds server and UI."""

    cli: Path


TemporalPrograms = ServerAndUi | DevServer
Fetch = Callable[[Path], Coroutine[None, None, None]]


async def fetch_with_the_sdk(folder: Path) -> None:
    """The SDK puts the tool that its own tests use into `folder`, and starts it. Raises RuntimeError when it cannot."""
    environment = await WorkflowEnvironment.start_local(download_dest_dir=str(folder))
    await environment.shutdown()


def find_temporal(progress: Progress, *, fetch: Fetch = fetch_with_the_sdk) -> TemporalPrograms:
    """A `temporal` tool on the path, what an earlier start has kept, the SDK's download, or a build from infra/temporal.

    Raises StackError, naming every way that is left to the user, when none works.
    """
    return present_temporal(progress) or _download(progress, fetch) or build(progress)


def present_temporal(progress: Progress) -> TemporalPrograms | None:
    """What can be had without waiting."""
    return _tool_on_path(progress) or built() or _kept_download()


def server_version(cli: Path) -> tuple[int, int] | None:
    """Major and minor version of the server inside a `temporal` tool; None when it does not say."""
    try:
        result = subprocess.run([str(cli), "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"[Ss]erver (\d+)\.(\d+)", result.stdout)
    return (int(match[1]), int(match[2])) if match else None


def _tool_on_path(progress: Progress) -> DevServer | None:
    cli = shutil.which("temporal")
    if cli is None:
        return None
    version = server_version(Path(cli))
    if version is None or version < _OLDEST_SERVER:
        progress.console.print(f"[dim]passed over {cli}: its server is not 1.32 or newer[/]")
        return None
    return DevServer(Path(cli))


def _download_folder() -> Path:
    return cache_folder() / "temporal-download"


def _kept_download() -> DevServer | None:
    for file in sorted(_download_folder().glob("temporal-*")):
        if os.access(file, os.X_OK) and (server_version(file) or (0, 0)) >= _OLDEST_SERVER:
            return DevServer(file)
    return None


def _download(progress: Progress, fetch: Fetch) -> DevServer | None:
    """Offline, it says so and the build is next."""
    folder = _download_folder()
    folder.mkdir(exist_ok=True)
    try:
        with progress.step("Downloading Temporal"):
            asyncio.run(asyncio.wait_for(fetch(folder), _DOWNLOAD_LIMIT_SECONDS))
            kept = _kept_download()
            if kept is None:
                raise StackError("what was downloaded has no server of version 1.32 or newer")
            return kept
    except (RuntimeError, TimeoutError, StackError) as error:
        reason = f"no answer within {_DOWNLOAD_LIMIT_SECONDS:.0f} s" if isinstance(error, TimeoutError) else str(error)
        progress.console.print(f"[yellow]Temporal cannot be downloaded ({_first_sentence(reason)}); it is built here instead.[/]")
        return None


def _first_sentence(text: str) -> str:
    return text.strip().splitlines()[0][:160] if text.strip() else "no reason given"
