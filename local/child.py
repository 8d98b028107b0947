"""A part as a running process: started, waited for until it is ready, ended."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from local.errors import StackError
from local.logs import open_log, tail
from local.part import Part, Probe

_LAUNCHER = Path(__file__).with_name("launch.py")
_PROBE_PAUSE_SECONDS = 0.02


class Child:
    """Owns the process of one part. Spawn children from the main thread only: the kernel ties their life to that thread."""

    def __init__(self, part: Part, *, log_path: Path) -> None:
        self.part = part
        self.log_path = log_path
        self.started_at: datetime | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._log_offset = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Returns when the part is ready. Raises StackError, with the end of its log, if it dies or takes too long."""
        if self.part.prepare is not None:
            await asyncio.to_thread(self.part.prepare)
        started_at = await self._spawn()
        try:
            if self.part.ready is None:
                await self._until_done()
            else:
                await self._until_ready(self.part.ready, started_at)
            if self.part.after_ready is not None:
                await self.part.after_ready()
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Exit code of the process; negative is the signal that ended it."""
        return await self._running().wait()

    async def stop(self) -> None:
        """Asks politely, waits for the part's limit, then kills its whole process group."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(self.part.stop_signal)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self.part.stop_timeout_seconds)
        self.kill()
        await process.wait()

    def kill(self) -> None:
        """Ends its process group at once; whatever it started goes with it."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def last_words(self) -> str:
        """The end of what the part has logged since this start."""
        return tail(self.log_path, from_offset=self._log_offset)

    async def _spawn(self) -> datetime:
        part = self.part
        with open_log(self.log_path) as log:
            self._log_offset = log.seek(0, os.SEEK_END)
            started_at = self.started_at = datetime.now(UTC)
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                str(_LAUNCHER),
                str(os.getpid()),
                str(int(part.orphan_signal)),
                "drop" if part.drops_root else "keep",
                *part.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=part.directory,
                env=dict(part.environment),
                start_new_session=True,
            )
        return started_at

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError(f"{self.part.name} was never started")
        return self._process

    async def _until_ready(self, ready: Probe, started_at: datetime) -> None:
        process = self._running()
        deadline = asyncio.get_running_loop().time() + self.part.ready_timeout_seconds
        while True:
            if process.returncode is not None:
                raise StackError(f"{self.part.name} ended with code {process.returncode} while starting{self._log_quote()}")
            if await ready(started_at):
                return
            if asyncio.get_running_loop().time() > deadline:
                limit = f"{self.part.ready_timeout_seconds:.0f} s"
                raise StackError(f"{self.part.name} was not ready within {limit}{self._log_quote()}")
            await asyncio.sleep(_PROBE_PAUSE_SECONDS)

    async def _until_done(self) -> None:
        try:
            code = await asyncio.wait_for(self.wait(), self.part.ready_timeout_seconds)
        except TimeoutError:
            limit = f"{self.part.ready_timeout_seconds:.0f} s"
            raise StackError(f"{self.part.name} did not end within {limit}{self._log_quote()}") from None
        if code != 0:
            raise StackError(f"{self.part.name} failed with code {code}{self._log_quote()}")

    def _log_quote(self) -> str:
        words = self.last_words()
        return f"; its log ({self.log_path}) ends with:\n{words}" if words else f"; its log is empty ({self.log_path})"
