"""What the launcher gives every part before it becomes it."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

LAUNCHER = Path(__file__).parents[2] / "local" / "launch.py"
TELL = "import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE))"


def launched_with(soft: int | str) -> tuple[int, int]:
    """Soft and hard limit of open files in a part, started by somebody with that soft limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A shell in between has the low limit, and stays the parent that the launcher is told of.
    launch = f"{sys.executable} -I -S {LAUNCHER} $$ {int(signal.SIGTERM)} keep {sys.executable} -c '{TELL}'"
    command = ["sh", "-c", f"ulimit -S -n {soft}; {launch}; exit $?"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    now_soft, now_hard = (int(word) for word in done.stdout.split())
    assert now_hard == hard
    return now_soft, now_hard


def test_a_part_may_open_a_socket_for_each_of_thousands_of_accounts() -> None:
    soft, hard = launched_with(256)
    assert soft == (65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536))


def test_a_limit_that_is_high_already_is_left_alone() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert launched_with("unlimited" if hard == resource.RLIM_INFINITY else hard)[0] == hard
