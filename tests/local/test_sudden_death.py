"""Nothing outlives its owner, whatever kills the owner."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.local.parts_for_tests import gone, is_alive, pid_of
from tests.waiting import eventually, eventually_blocking

ROOT = Path(__file__).parents[2]
_SUPERVISOR = """
import asyncio, io, sys
from pathlib import Path
from rich.console import Console
from local.progress import Progress
from local.supervisor import Supervisor
from tests.local.parts_for_tests import fake_part

async def main(folder):
    parts = [fake_part("one", folder), fake_part("two", folder, mood="stubborn")]
    supervisor = Supervisor(parts, logs=folder / "logs", progress=Progress(Console(file=io.StringIO())))
    await supervisor.start()
    (folder / "ready").touch()
    await supervisor.watch()

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", _SUPERVISOR, str(tmp_path)], cwd=ROOT)
    yield process
    process.kill()
    process.wait()
    for pid_file in tmp_path.glob("*.pid"):  # only a failed test leaves something to end
        with suppress(ProcessLookupError):
            os.kill(int(pid_file.read_text()), signal.SIGKILL)


async def test_a_killed_supervisor_leaves_no_child(supervisor: subprocess.Popen[bytes], tmp_path: Path) -> None:
    await eventually((tmp_path / "ready").exists, "the parts run")
    pids = pid_of("one", tmp_path), pid_of("two", tmp_path)
    assert all(is_alive(pid) for pid in pids)
    supervisor.kill()
    supervisor.wait()
    await eventually(gone(*pids), "both parts have ended with their supervisor")


def test_a_keeper_ends_its_server_when_the_watched_process_is_killed(short_folder: Path) -> None:
    watched = subprocess.Popen(["sleep", "600"])
    keeper = subprocess.Popen([sys.executable, "-m", "local.keeper", "redis-kept", str(short_folder), str(watched.pid)], cwd=ROOT)
    socket = short_folder / "redis-kept" / "redis.sock"
    eventually_blocking((short_folder / "redis-kept.json").exists, "the server is ready")
    assert socket.exists()
    watched.kill()
    watched.wait()
    assert keeper.wait(timeout=30) == 0
    assert not socket.exists(), "the server has removed its socket: it was asked to end, not left behind"


def test_a_server_does_not_outlive_its_keeper(short_folder: Path) -> None:
    keeper = subprocess.Popen([sys.executable, "-m", "local.keeper", "redis-kept", str(short_folder), str(os.getpid())], cwd=ROOT)
    eventually_blocking((short_folder / "redis-kept.json").exists, "the server is ready")
    server = int(subprocess.run(["pgrep", "-P", str(keeper.pid)], capture_output=True, text=True, check=True).stdout)
    keeper.send_signal(signal.SIGKILL)
    keeper.wait()
    eventually_blocking(gone(server), "the server is gone")
