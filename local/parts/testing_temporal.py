"""Temporal for a test run."""

import io
from pathlib import Path

from rich.console import Console

from local.errors import StackError
from local.part import Part
from local.parts.temporal import TemporalPorts, dev_server_part, server_part
from local.ports import free_ports
from local.progress import Progress
from local.temporal_build import ServerAndUi
from local.temporal_programs import present_temporal


def temporal_part(directory: Path) -> Part:
    """In memory, on free ports. Raises StackError while the programs are not there."""
    programs = present_temporal(Progress(Console(file=io.StringIO())))
    if programs is None:
        raise StackError("Temporal's programs are not on this machine yet: run `make tools` once")
    if isinstance(programs, ServerAndUi):
        return server_part(programs, directory=directory, ports=TemporalPorts.unused(), in_memory=True)
    return dev_server_part(programs, directory=directory, port=free_ports(1)[0], ui_port=None, in_memory=True)
