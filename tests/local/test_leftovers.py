"""Before a start, what a killed stack has left is ended; a stranger with a recycled process id is not."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.leftovers import end_leftovers
from local.record import PartRecord, ProcessIdentity, StackRecord
from tests.local.parts_for_tests import is_alive
from tests.waiting import eventually_blocking


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.local.parts_for_tests", "old", str(tmp_path), "obedient"]
    running = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    eventually_blocking((tmp_path / "old.pid").exists, "the process runs")
    yield running
    running.kill()
    running.wait()


def test_a_recorded_process_that_still_runs_is_asked_to_end(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    identity = ProcessIdentity.of(process.pid)
    assert identity is not None
    assert end_leftovers(_record(identity)) == ["worker-1"]
    assert not is_alive(process.pid)
    assert (tmp_path / "ended").read_text() == "old\n"


def test_a_stranger_who_got_the_same_process_id_is_not_touched(process: subprocess.Popen[bytes]) -> None:
    identity = ProcessIdentity.of(process.pid)
    assert identity is not None
    earlier = ProcessIdentity(pid=process.pid, started=identity.started - 3600)
    assert end_leftovers(_record(earlier)) == []
    assert is_alive(process.pid)


def _record(identity: ProcessIdentity) -> StackRecord:
    part = PartRecord(name="worker-1", process=identity, address="", restarts=0, log="")
    return StackRecord(supervisor=ProcessIdentity(pid=1, started=0.0), ready=True, parts=(part,))
