"""On what it was measured: a figure without its machine compares with nothing."""

import os
import platform
import random
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
_LOOP, _LOOP_ROUNDS = 2_000_000, 5
# Fifty megabytes: more than the caches of one core hold, and of what it shares with others usually as well.
_WALK, _WALK_ROUNDS = 200_000, 3
_CPU_INFO = Path("/proc/cpuinfo")


def describe_machine() -> Mapping[str, float | str]:
    """Cores, processor, memory, and the load before the measurement."""
    return {
        "cores": os.cpu_count() or 0,
        "cpu": cpu_model(_CPU_INFO.read_text(encoding="utf-8") if _CPU_INFO.exists() else ""),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }


def cpu_model(cpu_info: str) -> str:
    """The processor's name in the text of /proc/cpuinfo."""
    for line in cpu_info.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def references(when: str = "") -> Mapping[str, float]:
    """How fast one core does the same work as on every other machine: arithmetic that needs no memory, and a walk through more
    objects than its caches hold. On a machine that is shared the second may take twice as long in one hour as in another."""
    return {
        f"reference_loop{when}_ms": round(_loop_seconds() * 1000, 1),
        f"reference_walk{when}_ms": round(_walk_seconds() * 1000, 1),
    }


def _loop_seconds() -> float:
    """The best of some rounds of integer arithmetic in plain Python."""
    return min(_timed_loop() for _ in range(_LOOP_ROUNDS))


def _timed_loop() -> float:
    began = time.perf_counter()
    total = 0
    for number in range(_LOOP):
        total = (total * 31 + number) % 1_000_003
    return time.perf_counter() - began


def _walk_seconds() -> float:
    """The best of some rounds through small objects, in an order that no cache can guess."""
    objects = [{"number": number} for number in range(_WALK)]
    random.Random(1).shuffle(objects)
    return min(_timed_walk(objects) for _ in range(_WALK_ROUNDS))


def _timed_walk(objects: Sequence[Mapping[str, int]]) -> float:
    began = time.perf_counter()
    total = 0
    for one in objects:
        total = (total * 31 + one["number"]) % 1_000_003
    return time.perf_counter() - began


def revision() -> str:
    """The commit that is measured, with a plus when the tree has been changed since; empty outside a checkout."""
    try:
        short = _git("rev-parse", "--short=12", "HEAD")
        return short + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603, S607 (fixed words)
    return done.stdout.strip()
