"""Ends what a killed supervisor may have left behind. On Linux the kernel has done it already (local/launch.py)."""

from contextlib import suppress

import psutil

from local.record import StackRecord

_LIMIT_SECONDS = 10.0


def end_leftovers(record: StackRecord) -> list[str]:
    """Names of the parts that were still running. Never touches a process that is not the recorded one."""
    found = [(part.name, process) for part in record.parts if part.process and (process := part.process.living())]
    processes = [process for _, process in found]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(processes, timeout=_LIMIT_SECONDS)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=_LIMIT_SECONDS)
    return [name for name, _ in found]
