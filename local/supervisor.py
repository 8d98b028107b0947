"""Starts the parts in order, minds them, restarts the one that dies, and ends them in reverse order."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path

from rich.markup import escape

from local.child import Child
from local.part import Part
from local.progress import Progress
from local.record import PartRecord, ProcessIdentity

RESTART_PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 10.0)
# A part that has run this long has recovered: its next death is a first one again.
_RECOVERED_AFTER_SECONDS = 60.0


class Supervisor:
    """Owns the processes of all parts. `on_change` is called after every start, death and restart."""

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        logs: Path,
        progress: Progress,
        on_change: Callable[[], None] = lambda: None,
        pauses: Sequence[float] = RESTART_PAUSES_SECONDS,
    ) -> None:
        self._children = [Child(part, log_path=logs / f"{part.name}.log") for part in parts]
        self._progress = progress
        self._on_change = on_change
        self._pauses = pauses
        self._started: list[Child] = []
        self._restarts: dict[str, int] = {}
        self._minders: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Each part when the one before it is ready. Raises StackError for the first that fails; stop() ends the others."""
        for child in self._children:
            with self._progress.step(child.part.name):
                self._started.append(child)
                await child.start()
            if child.part.ready is not None:
                self._minders.append(asyncio.create_task(self._mind(child), name=child.part.name))
            self._on_change()

    async def watch(self) -> None:
        """Waits for ever; raises what a minder raised, which is a defect of ours."""
        await asyncio.gather(*self._minders)

    async def stop(self) -> None:
        """Reverse order, each with its own time limit."""
        await self._forget_minders()
        while self._started:
            child = self._started.pop()
            if child.part.ready is not None:
                with self._progress.step(f"stop {child.part.name}"):
                    await child.stop()
            self._on_change()

    def kill(self) -> None:
        """All at once, for a second Ctrl-C."""
        for minder in self._minders:
            minder.cancel()
        for child in self._started:
            child.kill()

    def records(self) -> tuple[PartRecord, ...]:
        return tuple(self._record(child) for child in self._started if child.part.ready is not None)

    async def _mind(self, child: Child) -> None:
        loop = asyncio.get_running_loop()
        pauses = self._fresh_pauses()
        while True:
            began = loop.time()
            code = await child.wait()
            if loop.time() - began > _RECOVERED_AFTER_SECONDS:
                pauses = self._fresh_pauses()
            await self._restart(child, f"ended with {_in_words(code)}", pauses)

    async def _restart(self, child: Child, reason: str, pauses: Iterator[float]) -> None:
        """Until it is ready again."""
        name = child.part.name
        child.kill()  # what the dead process may have left in its group
        while True:
            pause = next(pauses)
            self._restarts[name] = self._restarts.get(name, 0) + 1
            self._say(
                f"[yellow]{name} {escape(reason)}; starting it again in {pause:g} s[/] [dim]({escape(str(child.log_path))})[/]"
            )
            self._on_change()
            await asyncio.sleep(pause)
            try:
                await child.start()
            except Exception as error:  # noqa: BLE001 - a supervised loop: whatever went wrong is shown, and the next try follows
                reason = f"did not come back: {error}"
                continue
            self._say(f"[green]{name} runs again[/]")
            self._on_change()
            return

    def _fresh_pauses(self) -> Iterator[float]:
        return chain(self._pauses, repeat(self._pauses[-1]))

    async def _forget_minders(self) -> None:
        for minder in self._minders:
            minder.cancel()
        await asyncio.gather(*self._minders, return_exceptions=True)
        self._minders.clear()

    def _record(self, child: Child) -> PartRecord:
        name = child.part.name
        identity = ProcessIdentity.of(child.pid) if child.pid is not None else None
        return PartRecord(
            name=name,
            process=identity,
            address=child.part.address,
            restarts=self._restarts.get(name, 0),
            log=str(child.log_path),
        )

    def _say(self, text: str) -> None:
        self._progress.console.print(text)


def _in_words(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"code {code}"
