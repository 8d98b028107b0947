"""On what it was measured: a figure without its machine compares with nothing."""

import os
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
_LOOP = 2_000_000
_ROUNDS = 5
_CPU_INFO = Path("/proc/cpuinfo")


def describe_machine() -> Mapping[str, float | str]:
    """Cores, processor, memory, load before the measurement, and how fast one core runs a fixed loop."""
    return {
        "cores": os.cpu_count() or 0,
        "cpu": cpu_model(_CPU_INFO.read_text(encoding="utf-8") if _CPU_INFO.exists() else ""),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "reference_loop_ms": round(reference_loop_seconds() * 1000, 1),
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


def reference_loop_seconds() -> float:
    """The best of some rounds of integer arithmetic in plain Python: the same work on every machine."""
    return min(_timed_loop() for _ in range(_ROUNDS))


def _timed_loop() -> float:
    began = time.perf_counter()
    total = 0
    for number in range(_LOOP):
        total = (total * 31 + number) % 1_000_003
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
