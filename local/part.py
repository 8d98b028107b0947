"""What the supervisor needs to know about one part of the stack."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

Probe = Callable[[datetime], Awaitable[bool]]
"""Asked again and again after a start (at the given UTC instant) until it answers True."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process: how it is started, how it proves that it is ready, how it is ended."""

    name: str
    command: tuple[str, ...]
    ready: Probe
    address: str = ""
    directory: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] | None = None
    ready_timeout_seconds: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_seconds: float = 10.0
    # Sent by the kernel when the supervisor itself dies, however it dies.
    orphan_signal: signal.Signals = signal.SIGKILL
    # Postgres refuses to run as root; see local/launch.py.
    drops_root: bool = False
