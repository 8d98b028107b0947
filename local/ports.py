"""TCP ports on loopback: which are taken, which are free."""

import errno
import socket
from contextlib import ExitStack

from local.errors import StackError

LOOPBACK = "127.0.0.1"


def require_free_port(port: int, *, purpose: str, setting: str, host: str = LOOPBACK) -> None:
    """Raises StackError with one sentence that names the port, what wants it and the setting that moves it."""
    if port_is_taken(port, host=host):
        raise StackError(f"port {port} for {purpose} is taken by another program: end it, or choose another port with {setting}")


def port_is_taken(port: int, *, host: str = LOOPBACK) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections of a stack that has just ended may linger; servers bind over them with this option, and so does the probe.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return True
            raise
    return False


def free_ports(count: int) -> list[int]:
    """Ports nobody uses now, all different."""
    with ExitStack() as held:
        ports = []
        for _ in range(count):
            probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            probe.bind((LOOPBACK, 0))
            ports.append(int(probe.getsockname()[1]))
    return ports
