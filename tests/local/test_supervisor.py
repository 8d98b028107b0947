"""The supervisor minds its parts: order, restarts, and an end that leaves nothing."""

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from rich.console import Console

from local.errors import StackError
from local.part import Part
from local.progress import Progress
from local.supervisor import Supervisor
from tests.local.parts_for_tests import fake_part, gone, is_alive, job, pid_of
from tests.waiting import eventually

Make = Callable[..., Supervisor]


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
async def supervise(tmp_path: Path, said: io.StringIO) -> AsyncIterator[Make]:
    """Makes supervisors with short pauses, and ends them after the test."""
    made: list[Supervisor] = []

    def make(*parts: Part) -> Supervisor:
        progress = Progress(Console(file=said, width=1000))
        made.append(Supervisor(parts, logs=tmp_path / "logs", progress=progress, pauses=(0.01, 0.02, 0.03)))
        return made[-1]

    yield make
    for supervisor in made:
        await supervisor.stop()


async def test_a_part_that_is_killed_runs_again_and_the_user_is_told(supervise: Make, tmp_path: Path, said: io.StringIO) -> None:
    supervisor = supervise(fake_part("feed", tmp_path))
    await supervisor.start()
    first = pid_of("feed", tmp_path)
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: "feed runs again" in said.getvalue(), "the restart is announced")
    assert "feed ended with signal 9; starting it again in 0.01 s" in said.getvalue()
    assert pid_of("feed", tmp_path) != first
    assert is_alive(pid_of("feed", tmp_path))
    assert [record.restarts for record in supervisor.records()] == [1]


async def test_a_part_that_cannot_come_back_is_tried_with_growing_pauses(
    supervise: Make, tmp_path: Path, said: io.StringIO
) -> None:
    await supervise(fake_part("feed", tmp_path, mood="once")).start()
    os.kill(pid_of("feed", tmp_path), signal.SIGKILL)
    await eventually(lambda: said.getvalue().count("again in 0.03 s") >= 2, "the longest pause is reached and kept")
    pauses = [line.rsplit(" in ", 1)[1].split(" s")[0] for line in said.getvalue().splitlines() if "again in" in line]
    assert pauses[:4] == ["0.01", "0.02", "0.03", "0.03"]
    assert "only once" in said.getvalue(), "the log of the failing part is quoted"


async def test_parts_end_in_reverse_order(supervise: Make, tmp_path: Path) -> None:
    supervisor = supervise(*(fake_part(name, tmp_path) for name in ("store", "worker", "door")))
    await supervisor.start()
    await supervisor.stop()
    assert (tmp_path / "ended").read_text().split() == ["door", "worker", "store"]


async def test_a_part_that_ignores_the_request_is_killed_after_its_limit(supervise: Make, tmp_path: Path) -> None:
    supervisor = supervise(fake_part("deaf", tmp_path, mood="stubborn", stop_timeout_seconds=0.1))
    await supervisor.start()
    await supervisor.stop()
    assert not is_alive(pid_of("deaf", tmp_path))


async def test_what_a_part_has_started_ends_with_it(supervise: Make, tmp_path: Path) -> None:
    supervisor = supervise(fake_part("family", tmp_path, mood="parent"))
    await supervisor.start()
    child = int((tmp_path / "family.child").read_text())
    assert is_alive(child)
    await supervisor.stop()
    await eventually(gone(child), "the child of the part is gone")


async def test_a_part_that_dies_while_starting_stops_the_start_and_its_log_is_quoted(supervise: Make, tmp_path: Path) -> None:
    supervisor = supervise(fake_part("good", tmp_path), fake_part("bad", tmp_path, mood="stillborn"), fake_part("late", tmp_path))
    with pytest.raises(StackError, match=r"bad ended with code 1 while starting(.|\n)*cannot open the window"):
        await supervisor.start()
    await supervisor.stop()
    assert not is_alive(pid_of("good", tmp_path))
    assert not (tmp_path / "late.pid").exists()


async def test_a_job_runs_to_its_end_before_the_next_part_starts(supervise: Make, tmp_path: Path) -> None:
    supervisor = supervise(job("migrations", f"open({str(tmp_path / 'migrated')!r}, 'w')"), fake_part("api", tmp_path))
    await supervisor.start()
    assert (tmp_path / "migrated").exists()
    assert [record.name for record in supervisor.records()] == ["api"]


async def test_a_job_that_fails_stops_the_start(supervise: Make, tmp_path: Path) -> None:
    supervisor = supervise(job("migrations", "raise SystemExit('no such table')"), fake_part("api", tmp_path))
    with pytest.raises(StackError, match=r"migrations failed with code 1(.|\n)*no such table"):
        await supervisor.start()
    assert not (tmp_path / "api.pid").exists()


async def test_stopping_during_a_restart_leaves_nothing(supervise: Make, tmp_path: Path, said: io.StringIO) -> None:
    supervisor = supervise(fake_part("feed", tmp_path, mood="once"))
    await supervisor.start()
    os.kill(pid_of("feed", tmp_path), signal.SIGKILL)
    await eventually(lambda: "starting it again" in said.getvalue(), "the restart has begun")
    await supervisor.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}, "nobody goes on restarting"
    assert supervisor.records() == ()


async def test_killing_ends_every_part_at_once(supervise: Make, tmp_path: Path) -> None:
    supervisor = supervise(fake_part("deaf", tmp_path, mood="stubborn"), fake_part("good", tmp_path))
    await supervisor.start()
    supervisor.kill()
    await eventually(gone(pid_of("deaf", tmp_path), pid_of("good", tmp_path)), "both are gone")
