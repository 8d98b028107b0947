"""Memory and processor time of every process of the platform."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

from local.record import StackRecord
from local.running import record_path
from tests.chaos.stack import Stack

_MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one part with everything it has started: megabytes now, processor seconds since its start."""

    memory_mb: float
    cpu_seconds: float


def usage_of(stack: Stack) -> dict[str, Usage]:
    """By part; without a part that does not live at this moment."""
    record = StackRecord.read(record_path(stack.state))
    names = [part.name for part in record.parts] if record else []
    processes = {name: process for name in names if (process := stack.process(name)) is not None}
    return {name: _usage([process, *process.children(recursive=True)]) for name, process in processes.items()}


def _usage(family: Sequence[psutil.Process]) -> Usage:
    """Shared pages of a family (Postgres) are counted once: then each process counts with its proportional share."""
    memory = cpu = 0.0
    for process in family:
        try:
            times = process.cpu_times()
            memory += process.memory_info().rss if len(family) == 1 else process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
        cpu += times.user + times.system
    return Usage(memory / _MEGABYTE, cpu)


def cpu_between(before: Mapping[str, Usage], after: Mapping[str, Usage], *, seconds: float) -> dict[str, float]:
    """Percent of one core, by part."""
    return {
        name: 100 * (usage.cpu_seconds - before[name].cpu_seconds) / seconds for name, usage in after.items() if name in before
    }


def as_facts(usage: Mapping[str, Usage]) -> dict[str, float | str]:
    return {f"memory of {name} (MB)": round(each.memory_mb, 1) for name, each in usage.items()}
