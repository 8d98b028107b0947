"""What runs, on disk: written by the supervisor at every change, read by `status`, `down`, `demo` and the next `up`."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import psutil

# Start times are derived from the system clock, which may have been set since.
_CLOCK_TOLERANCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process id alone may be given to a stranger later; with the start time (seconds since 1970) it cannot."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """None when there is no such process any more."""
        try:
            return cls(pid=pid, started=psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    def living(self) -> psutil.Process | None:
        """The process if it is still the same one, and not just waiting to be forgotten by its parent."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _CLOCK_TOLERANCE_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


@dataclass(frozen=True, slots=True)
class PartRecord:
    name: str
    process: ProcessIdentity | None
    address: str
    restarts: int
    log: str


@dataclass(frozen=True, slots=True)
class StackRecord:
    supervisor: ProcessIdentity
    ready: bool
    # What `up` printed: title and URL.
    addresses: dict[str, str] = field(default_factory=dict)
    parts: tuple[PartRecord, ...] = ()

    def write(self, path: Path) -> None:
        """Readers see the whole record or the one before."""
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(asdict(self), indent=2))
        unfinished.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """None when there is none, or one that another version wrote."""
        try:
            raw = json.loads(path.read_text())
            return cls(
                supervisor=ProcessIdentity(**raw["supervisor"]),
                ready=raw["ready"],
                addresses=raw["addresses"],
                parts=tuple(_part(part) for part in raw["parts"]),
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def _part(raw: dict[str, object]) -> PartRecord:
    process = raw.pop("process")
    identity = ProcessIdentity(**process) if isinstance(process, dict) else None
    return PartRecord(process=identity, **raw)  # type: ignore[arg-type] # a wrong field is a TypeError, caught by read()
