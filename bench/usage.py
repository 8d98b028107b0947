"""Memory and processor time of every process of the platform."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import process_time

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


@dataclass(slots=True)
class Spent:
    """Percent of one core, by part, for the measuring process (`bench`) and the whole machine; known once the block has ended."""

    percent: dict[str, float]


@contextmanager
def spending(stack: Stack) -> Iterator[Spent]:
    """What the processors did during a block."""
    before, own, machine, began = usage_of(stack), process_time(), _machine_busy_seconds(), time.monotonic()
    spent = Spent({})
    yield spent
    seconds = time.monotonic() - began
    spent.percent = cpu_between(before, usage_of(stack), seconds=seconds)
    spent.percent["bench"] = 100 * (process_time() - own) / seconds
    spent.percent["whole machine"] = 100 * (_machine_busy_seconds() - machine) / seconds


def _machine_busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def as_facts(usage: Mapping[str, Usage]) -> dict[str, float | str]:
    return {f"memory of {name} (MB)": round(each.memory_mb, 1) for name, each in usage.items()}
