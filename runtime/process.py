"""What a process is called."""

import os
import socket

from runtime.settings import Settings


def process_name(settings: Settings, kind: str) -> str:
    """Who holds a lease or a claim; unique per process, also after a restart."""
    return settings.process_name or f"{kind}-{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
