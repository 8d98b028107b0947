"""Workers as processes of their own, beside a world without desks: they can be paused, killed and asked to leave."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import SecretStr
from sqlalchemy import text

from runtime.settings import Settings
from tests.integration.trading.world import World
from tests.stack import ROOT


@dataclass
class WorkerProcess:
    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def ask_to_leave(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def has_left(self) -> bool:
        return self.process.poll() is not None


@contextmanager
def worker_process(world: World, name: str, folder: Path, *, stderr: IO[bytes] | None = None) -> Iterator[WorkerProcess]:
    """`python worker.py` with the world's settings; killed at the end, whatever state it is in. Its log, unless `stderr` is
    given, is in `folder`."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "worker.py")],
            cwd=folder,
            env={**os.environ, **environment_of(world.settings), "PYTHONPATH": str(ROOT), "PROCESS_NAME": name},
            stdout=output,
            stderr=stderr or output,
        )
        try:
            yield WorkerProcess(name, process, log)
        finally:
            process.kill()
            process.wait()


def environment_of(settings: Settings) -> dict[str, str]:
    values = settings.model_dump(exclude_unset=True)
    plain = {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in values.items()}
    return {name.upper(): str(value) for name, value in plain.items()}


async def lease_holders(world: World) -> dict[str, str]:
    """Account id to the process that holds its desk now."""
    async with world.database.transaction() as session:
        rows = await session.execute(text("SELECT account_id, owner FROM desk_leases WHERE expires_at > clock_timestamp()"))
        return {row.account_id: row.owner for row in rows if row.owner is not None}
