"""What the supervisor needs to know about one part of the stack."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

Probe = Callable[[datetime], Awaitable[bool]]
"""Asked again and again after a start (at the given UTC instant) until it answers True."""

AfterReady = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Part:
    """One process: how it is started, how it proves that it is ready, how it is ended."""

    name: str
    command: tuple[str, ...]
    # None: a job, ready when it has ended with code 0, and not started again.
    ready: Probe | None
    # Path of a unix socket, host:port, or a URL; empty when nobody connects to it.
    address: str = ""
    directory: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    # Before each start; blocking.
    prepare: Callable[[], None] | None = None
    # After each start, once it is ready.
    after_ready: AfterReady | None = None
    ready_timeout_seconds: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_seconds: float = 10.0
    # Sent by the kernel when the supervisor itself dies, however it dies.
    orphan_signal: signal.Signals = signal.SIGKILL
    # Postgres refuses to run as root; see local/launch.py.
    drops_root: bool = False
