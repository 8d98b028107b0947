"""The whole platform as processes of its own, on free ports and in its own folder, and the ways of hurting it."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from local.parts.temporal import TemporalPorts
from local.ports import LOOPBACK, port_is_taken
from local.record import StackRecord
from local.running import record_path
from local.sockets import socket_folder
from tests.ports import stack_ports

ROOT = Path(__file__).parents[2]
START_SECONDS = 180.0
STOP_SECONDS = 60.0
_PAUSE_SECONDS = 0.2
_LAUNCHER = ROOT / "local" / "launch.py"
# Whatever of a developer's own environment would lead the stack out of its folder.
_FOREIGN = ("DATABASE_URL", "REDIS_URL", "TEMPORAL_ADDRESS", "JWT_KEYS", "AES_MASTER_KEYS", "TASK_QUEUE")


class StackFailed(Exception):
    """The platform did not start; its message is the end of what it said."""


@dataclass(slots=True)
class Stack:
    """A running platform. Parts are named as the supervisor names them."""

    state: Path
    api_url: str
    control_url: str
    paused: set[int] = field(default_factory=set)

    @property
    def exchange_log(self) -> Path:
        return self.state / "logs" / "exchange.jsonl"

    @property
    def sockets(self) -> Path:
        """Where Postgres listens."""
        return socket_folder(self.state)

    def process(self, part: str) -> psutil.Process | None:
        """The process of a part that lives now; None between its death and its restart."""
        record = StackRecord.read(record_path(self.state))
        if record is None:
            return None
        identity = next((row.process for row in record.parts if row.name == part), None)
        return identity.living() if identity is not None else None

    def pids_running(self, program: str) -> list[int]:
        """Processes of the supervisor whose command line ends with that word: also those that are not ready yet."""
        record = StackRecord.read(record_path(self.state))
        supervisor = None if record is None else record.supervisor.living()
        found = []
        for child in [] if supervisor is None else _children(supervisor):
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if child.cmdline()[-1:] == [program]:
                    found.append(child.pid)
        return found

    def restarts(self) -> dict[str, int]:
        record = StackRecord.read(record_path(self.state))
        return {} if record is None else {part.name: part.restarts for part in record.parts}

    def kill(self, part: str) -> bool:
        """kill -9. False when the part is not there to be killed."""
        return self._signal(part, signal.SIGKILL)

    async def pause(self, part: str, seconds: float) -> bool:
        """SIGSTOP to the part and everything it has started, SIGCONT after that many seconds."""
        process = self.process(part)
        if process is None:
            return False
        stopped = [process, *_children(process)]
        for one in stopped:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGSTOP)
                self.paused.add(one.pid)
        try:
            await asyncio.sleep(seconds)
        finally:
            for one in stopped:
                # psutil compares start times: a stranger with the same process id is not woken.
                with suppress(psutil.NoSuchProcess):
                    one.send_signal(signal.SIGCONT)
                self.paused.discard(one.pid)
        return True

    def _signal(self, part: str, number: signal.Signals) -> bool:
        process = self.process(part)
        if process is None:
            return False
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            return False
        return True


@asynccontextmanager
async def running_stack(state: Path, *, workers: int, settings: Mapping[str, str]) -> AsyncIterator[Stack]:
    """Starts everything but the demo and Temporal's Web UI; ends it all. Raises StackFailed."""
    state.mkdir(parents=True, exist_ok=True)
    output = state / "terminal.txt"
    ports = stack_ports()
    given = {
        "LOCAL_STATE": str(state),
        **ports,
        "TEMPORAL_PORT": str(_temporal_port()),
        "WORKERS": str(workers),
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
    environment = {name: value for name, value in os.environ.items() if name not in _FOREIGN} | given
    command = [sys.executable, "-m", "local", "up", "--without", "demo", "--without", "temporal-ui"]
    # Through the launcher, so that not even a killed chaos run leaves a stack behind.
    tied = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(int(signal.SIGTERM)), "keep", *command]
    with output.open("w") as terminal:
        supervisor = subprocess.Popen(
            tied, cwd=ROOT, env=environment, stdout=terminal, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        await _until_ready(state, supervisor, output)
        yield Stack(state, f"http://{LOOPBACK}:{ports['API_PORT']}", f"http://{LOOPBACK}:{ports['SIMULATOR_CONTROL_PORT']}")
    finally:
        await asyncio.to_thread(_end, supervisor)


async def _until_ready(state: Path, supervisor: "subprocess.Popen[bytes]", output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        record = StackRecord.read(record_path(state))
        if record is not None and record.ready:
            return
        if supervisor.poll() is not None or time.monotonic() > deadline:
            raise StackFailed(f"the platform did not start:\n{output.read_text()[-4000:]}")
        await asyncio.sleep(_PAUSE_SECONDS)


def _end(supervisor: "subprocess.Popen[bytes]") -> None:
    supervisor.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        supervisor.wait(timeout=STOP_SECONDS)
    if supervisor.poll() is None:
        # Its children are tied to it and end with it.
        supervisor.kill()
        supervisor.wait()


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _temporal_port() -> int:
    """A frontend port around which all the ports of the server are free.

    Below 32,768: from there on Linux gives ports to connections, and one may take a port before the server does.
    """
    for _ in range(200):
        port = random.randrange(12_000, 32_000)
        if not any(port_is_taken(each) for each in TemporalPorts.from_frontend(port).all()):
            return port
    raise StackFailed("no free ports for Temporal were found")
