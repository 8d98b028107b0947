"""Carries the monkey's timetable out, and remembers what was really done."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.calls import Caller, NoAnswer, NotGranted
from tests.chaos.monkey import Deed, Disturbance
from tests.chaos.stack import Stack
from tests.chaos.watch import Unmanaged


@dataclass(slots=True)
class Disturber:
    """`killed`, `paused` and `faults` count what was done; a part that was down already cannot be killed."""

    stack: Stack
    control: Caller
    unmanaged: Unmanaged
    killed: Counter[str] = field(default_factory=Counter)
    paused: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    _pauses: set[asyncio.Task[bool]] = field(default_factory=set)

    async def run(self, timetable: Sequence[Disturbance]) -> None:
        """Until the timetable is done; pauses that still last are waited for, faults that still wait are taken back."""
        began = time.monotonic()
        try:
            for disturbance in timetable:
                await asyncio.sleep(max(0.0, began + disturbance.at - time.monotonic()))
                await self._do(disturbance)
        finally:
            await asyncio.gather(*self._pauses, return_exceptions=True)

    async def _do(self, disturbance: Disturbance) -> None:
        match disturbance.deed:
            case Deed.KILL:
                self._kill(disturbance.target)
            case Deed.PAUSE:
                self._pause(disturbance)
            case Deed.FAULT:
                await self._inject(disturbance)

    def _kill(self, part: str) -> None:
        process = self.stack.process(part)
        if process is None or not self.stack.kill(part):
            return
        self.killed[part] += 1
        if part.startswith("worker"):
            self.unmanaged.worker_died(process.pid, time.monotonic())

    def _pause(self, disturbance: Disturbance) -> None:
        seconds = disturbance.settings["seconds"]
        assert isinstance(seconds, float)
        if self.stack.process(disturbance.target) is not None:
            self.paused[disturbance.target] += 1
            task = asyncio.create_task(self.stack.pause(disturbance.target, seconds))
            self._pauses.add(task)
            task.add_done_callback(self._pauses.discard)

    async def _inject(self, disturbance: Disturbance) -> None:
        try:
            await self.control("POST", "/faults", {"kind": disturbance.target, **disturbance.settings})
        except (NoAnswer, NotGranted):
            self.faults[f"{disturbance.target} (not taken)"] += 1
        else:
            self.faults[disturbance.target] += 1
