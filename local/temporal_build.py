"""Builds Temporal's server and Web UI from the versions pinned in infra/temporal/go.mod; once per machine, about six minutes."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local.cache import cache_folder, exclusive
from local.errors import StackError
from local.progress import Progress

_MODULE = Path(__file__).parents[1] / "infra" / "temporal"
_PACKAGES = {
    "temporal-server": "go.temporal.io/server/cmd/server",
    "temporal-ui": "github.com/temporalio/ui-server/v2/cmd/server",
}
_FLAGS = ("-tags", "disable_grpc_modules", "-trimpath", "-ldflags", "-s -w")
# The pinned toolchain and no C compiler: the same program everywhere, and no download of another Go.
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=readonly"}
_OTHER_WAYS = "or install the `temporal` command line tool 1.9 or newer, or set TEMPORAL_ADDRESS to a running server"


@dataclass(frozen=True, slots=True)
class ServerAndUi:
    """Server and Web UI as two programs."""

    server: Path
    ui: Path


def built() -> ServerAndUi | None:
    """What an earlier build of the same versions has left in the cache."""
    folder = _folder()
    return _programs(folder) if folder.is_dir() else None


def build(progress: Progress) -> ServerAndUi:
    """Raises StackError when Go is missing, too old, or fails."""
    folder = _folder()
    with exclusive(folder):
        if folder.is_dir():
            return _programs(folder)
        go = _usable_go()
        unfinished = folder.with_name(folder.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        for name, package in _PACKAGES.items():
            _compile(go, package, output=unfinished / name, progress=progress)
        unfinished.rename(folder)
    return _programs(folder)


def required_go() -> tuple[int, ...]:
    """The `go` line of go.mod."""
    line = re.search(r"^go (\S+)$", (_MODULE / "go.mod").read_text(), re.MULTILINE)
    if line is None:
        raise StackError(f"{_MODULE / 'go.mod'} names no Go version")
    return _version(line[1])


def _programs(folder: Path) -> ServerAndUi:
    return ServerAndUi(server=folder / "temporal-server", ui=folder / "temporal-ui")


def _folder() -> Path:
    """Named after everything that decides what is in it."""
    digest = hashlib.sha256()
    for part in (
        (_MODULE / "go.mod").read_bytes(),
        (_MODULE / "go.sum").read_bytes(),
        repr((_FLAGS, platform.system(), platform.machine())).encode(),
    ):
        digest.update(part)
    return cache_folder() / f"temporal-{digest.hexdigest()[:16]}"


def _usable_go() -> str:
    needed = ".".join(map(str, required_go()))
    go = shutil.which("go")
    if go is None:
        raise StackError(f"Temporal has to be built once and Go is missing: install Go {needed} or newer, {_OTHER_WAYS}")
    result = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, env=_environment(), check=False)  # noqa: S603
    if _version(result.stdout) < required_go():
        found = result.stdout.strip() or "one that does not tell its version"
        raise StackError(
            f"Temporal has to be built once with Go {needed} or newer and {go} is {found}: install a newer Go, {_OTHER_WAYS}"
        )
    return go


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def _environment() -> dict[str, str]:
    return {**os.environ, **_ENVIRONMENT}


def _compile(go: str, package: str, *, output: Path, progress: Progress) -> None:
    """`-v` names each package on standard error as it is compiled: that is the progress there is."""
    title = f"Building {output.name} (once per machine; server and UI take about six minutes on two cores)"
    command = [go, "build", "-v", *_FLAGS, "-o", str(output), package]
    last_lines: list[str] = []
    with progress.step(title) as step:
        process = subprocess.Popen(  # noqa: S603 - go and our own arguments
            command, cwd=_MODULE, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            for count, line in enumerate(process.stderr or (), start=1):
                last_lines = [*last_lines, line.rstrip()][-10:]
                step.detail(f"{count} packages, {line.strip()[:60]}")
            process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if process.returncode != 0:
            words = "\n".join(last_lines)
            raise StackError(f"Temporal could not be built; go ended with:\n{words}\nMend that, {_OTHER_WAYS}")
