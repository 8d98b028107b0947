"""`python -m local` as a user runs it: stores and migrations, on the test run's Temporal, without the other processes."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.ports import LOOPBACK, free_ports
from tests.local.parts_for_tests import gone
from tests.waiting import eventually_blocking

ROOT = Path(__file__).parents[2]
_LEFT_OUT = ("simulator", "worker", "listener", "api", "demo")


class Stack:
    """One state folder and the commands run on it."""

    def __init__(self, state: Path, temporal_address: str) -> None:
        self.state = state
        decided = ("DATABASE_URL", "REDIS_URL", "API_PORT", "LOCAL_STATE", "JWT_KEYS", "AES_MASTER_KEYS")
        inherited = {name: value for name, value in os.environ.items() if name not in decided}
        self.environment = {**inherited, "TEMPORAL_ADDRESS": temporal_address, "LOCAL_STATE": str(state)}
        self.started: list[subprocess.Popen[str]] = []

    def begin(self) -> subprocess.Popen[str]:
        """`up` in the foreground; returns at once."""
        process = subprocess.Popen(
            [sys.executable, "-m", "local", "up", *left_out()],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def begin_and_wait(self) -> subprocess.Popen[str]:
        process = self.begin()

        def is_ready() -> bool:
            assert process.poll() is None, f"up ended early:\n{process.stdout.read() if process.stdout else ''}"
            return bool(self.record().get("ready"))

        eventually_blocking(is_ready, "the stack is ready")
        return process

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "local", *words]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False, timeout=60)

    def record(self) -> dict[str, object]:
        path = self.state / "stack.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def pids(self) -> list[int]:
        parts = self.record()["parts"]
        assert isinstance(parts, list)
        return [part["process"]["pid"] for part in parts if part["process"]]

    def end(self) -> None:
        self.run("down", "--quiet")
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=60)
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture
def stack(short_folder: Path, temporal_address: str) -> Iterator[Stack]:
    stack = Stack(short_folder / "state", temporal_address)
    yield stack
    stack.end()


@pytest.fixture
def occupied_port() -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as server:
        yield int(server.getsockname()[1])


def left_out() -> list[str]:
    return [word for name in _LEFT_OUT for word in ("--without", name)]


def output_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.read()


def test_ctrl_c_ends_every_part_in_reverse_order(stack: Stack) -> None:
    process = stack.begin_and_wait()
    pids = stack.pids()
    process.send_signal(signal.SIGINT)
    said = output_of(process)
    assert process.wait(timeout=60) == 0
    assert 0 < said.index("stop redis") < said.index("stop postgres")
    assert gone(*pids)()
    assert "Traceback" not in said


def test_a_second_up_names_the_process_and_changes_nothing(stack: Stack) -> None:
    process = stack.begin_and_wait()
    pids = stack.pids()
    second = stack.run("up")
    assert second.returncode == 1
    assert f"the stack is running already (process {process.pid})" in second.stderr
    assert "Traceback" not in second.stderr
    assert stack.pids() == pids


def test_a_killed_stack_leaves_nothing_and_starts_again_with_its_state(stack: Stack) -> None:
    first = stack.begin_and_wait()
    pids, keys = stack.pids(), (stack.state / "secrets.env").read_text()
    first.kill()
    first.wait()
    eventually_blocking(gone(*pids), "no part outlives its supervisor")
    assert stack.run("status").returncode == 1
    stack.begin_and_wait()
    assert (stack.state / "secrets.env").read_text() == keys


def test_status_shows_each_part_and_down_ends_them(stack: Stack) -> None:
    process = stack.begin_and_wait()
    status = stack.run("status")
    assert status.returncode == 0
    assert "postgres" in status.stdout
    assert "redis" in status.stdout
    assert "not running" not in status.stdout
    assert stack.run("down").returncode == 0
    assert process.wait(timeout=60) == 0
    assert stack.run("status").returncode == 1


def test_detached_it_returns_when_ready_and_stays_up(stack: Stack) -> None:
    result = stack.run("up", "--detach", *left_out())
    assert result.returncode == 0, result.stderr
    assert "The stack is up" in result.stdout
    assert stack.run("status").returncode == 0
    assert stack.run("down").returncode == 0


def test_detached_a_start_that_fails_is_told_with_its_reason(stack: Stack) -> None:
    address = f"{LOOPBACK}:{free_ports(1)[0]}"
    stack.environment["TEMPORAL_ADDRESS"] = address
    result = stack.run("up", "--detach", *left_out())
    assert result.returncode == 1
    assert f"Temporal does not answer at {address}" in result.stdout
    assert "the stack did not start" in result.stderr


def test_a_killed_part_comes_back(stack: Stack) -> None:
    stack.begin_and_wait()
    redis = stack.pids()[1]
    os.kill(redis, signal.SIGKILL)
    eventually_blocking(lambda: redis not in stack.pids() and len(stack.pids()) == 2, "redis runs again")


def test_a_busy_port_is_one_sentence_before_anything_starts(stack: Stack, occupied_port: int) -> None:
    stack.environment["API_PORT"] = str(occupied_port)
    result = stack.run("up")
    assert result.returncode == 1
    assert f"port {occupied_port} for the API is taken by another program" in result.stderr
    assert "API_PORT" in result.stderr
    assert not (stack.state / "postgres").exists()


def test_an_unreachable_temporal_is_one_sentence(stack: Stack) -> None:
    address = f"{LOOPBACK}:{free_ports(1)[0]}"
    stack.environment["TEMPORAL_ADDRESS"] = address
    result = stack.run("up", *left_out())
    assert result.returncode == 1
    assert f"Temporal does not answer at {address} (TEMPORAL_ADDRESS)" in result.stderr
    assert "Traceback" not in result.stderr


def test_reset_forgets_everything(stack: Stack) -> None:
    process = stack.begin_and_wait()
    assert stack.run("reset", "--yes").returncode == 0
    assert process.wait(timeout=60) == 0
    assert not stack.state.exists()
