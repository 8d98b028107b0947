"""The servers of a test run, by name: the parts of the stack, tuned for short lives."""

import io
from pathlib import Path

from rich.console import Console

from local.errors import StackError
from local.part import Part
from local.parts.postgres import postgres_part
from local.parts.redis import redis_part
from local.parts.temporal import TemporalPorts, dev_server_part, server_part
from local.ports import free_ports
from local.progress import Progress
from local.temporal_build import ServerAndUi
from local.temporal_programs import present_temporal


def build_part(name: str, *, folder: Path) -> Part:
    """`postgres`, `redis-<anything>` or `temporal`, with everything it writes below `folder`."""
    if name == "postgres":
        return postgres_part(data=folder / "postgres", sockets=folder, durable=False)
    if name.startswith("redis-"):
        sockets = folder / name
        return redis_part(directory=sockets, sockets=sockets, name=name)
    if name == "temporal":
        return _temporal_part(folder / "temporal")
    raise StackError(f"there is no test server called {name!r}")


def _temporal_part(directory: Path) -> Part:
    programs = present_temporal(Progress(Console(file=io.StringIO())))
    if programs is None:
        raise StackError("Temporal's programs are not on this machine yet: run `make tools` once")
    if isinstance(programs, ServerAndUi):
        return server_part(programs, directory=directory, ports=TemporalPorts.unused(), in_memory=True)
    return dev_server_part(programs, directory=directory, port=free_ports(1)[0], ui_port=None, in_memory=True)
