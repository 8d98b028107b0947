"""An official client at work: a script in its own environment, which is told where the simulator is and prints what it found."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.exchange.accounts import Account
from simulator.exchange.positions import Holding
from simulator.money import to_price
from tests.unit.brokers.raw_server import unused_port

SECONDS = 120
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunningClient:
    """A started script."""

    process: Process

    async def connected(self) -> None:
        """Wait for the line that says so."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS):
            line = await self.process.stdout.readline()
        assert line == b"connected\n", (line, (await self.process.communicate())[1].decode())

    async def result(self) -> Any:
        """The last line it printed: some clients print lines of their own before."""
        try:
            async with asyncio.timeout(SECONDS):
                output, errors = await self.process.communicate()
        except TimeoutError:
            self.process.kill()
            raise
        assert self.process.returncode == 0, errors.decode()
        return json.loads(output.splitlines()[-1])


@dataclass(frozen=True, slots=True)
class OfficialClient:
    """`python` has the client, `scripts` are ours for it, and `folder` is where it leaves its logs and lists."""

    python: Path
    scripts: Path
    folder: Path

    async def start(self, script: str, given: Row) -> RunningClient:
        """Whatever else the client asks of the world meets a closed door."""
        closed = f"http://127.0.0.1:{unused_port()}"
        environment = {"TZ": "Asia/Kolkata", "HTTPS_PROXY": closed, "HTTP_PROXY": closed, "NO_PROXY": "127.0.0.1"}
        command = [str(self.python), str(self.scripts / script), json.dumps(given)]
        started = asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=environment, cwd=self.folder)
        return RunningClient(await started)

    async def run(self, script: str, given: Row) -> Any:
        return await (await self.start(script, given)).result()


def deliver_infosys(account: Account) -> None:
    """Twelve shares of earlier days, two of them still on their way."""
    account.holdings["NSE:INFY"] = Holding("NSE:INFY", 10, to_price("1400.55"), t1_quantity=2)
