"""Python's search for unreachable cycles, kept out of the way of orders.

What was loaded at the start is left out, and so is what a herd of orders has made (`execution/rush.py`). The young are looked at
in small portions, and once more with those of the next portion; the rest is looked at all at once, in the small hours, or when
the process has grown by so much that cycles may be the reason. Left to itself Python does that whenever a quarter more is there:
0.4 s with a thousand accounts that hold shares, 1.3 s with five thousand strategies that wait, during which no stop is heard.
Little of ours is built in cycles.
"""

import asyncio
import gc
import os
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import structlog

from trading.ports.clock import Clock
from trading.sessions import INDIA

_log = structlog.get_logger()

# How many more new objects than freed ones make a portion, and how many portions before are looked at once more with one. What
# lives for a second, such as what waits for an answer, is freed one by one and counts for nothing: with a thousand accounts a
# portion of two thousand held six to fifteen thousand, 3 to 13 ms of work, and ten of them together took 40.
PORTION, PORTIONS = 1_000, 1
NEVER = 1_000_000_000
# The hour of the day, in India, in which no exchange is open and nobody waits for an order.
QUIET_HOUR = 3
# Megabytes.
MUCH_MORE = 512
LOOK_SECONDS = 60.0
_MEGABYTE = 1024 * 1024


def collect_seldom() -> None:
    """Call once per process, when its modules are loaded."""
    search_all()
    gc.set_threshold(PORTION, PORTIONS, NEVER)


async def collect_the_old(clock: Clock) -> None:
    """For ever: all of it when it is due."""
    schedule = Schedule(searched_on=clock.now().astimezone(INDIA).date(), memory=memory_in_use())
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now, memory = clock.now().astimezone(INDIA), memory_in_use()
        if schedule.is_due(now.date(), now.hour, memory):
            began = time.monotonic()
            found = search_all()
            schedule = Schedule(searched_on=now.date(), memory=memory_in_use())
            _log.info("garbage_collected", objects=found, seconds=round(time.monotonic() - began, 3), megabytes=memory)


def search_all() -> int:
    """How many objects were garbage. What was left out, when the process started or since, is looked at as well, and is left out
    again afterwards."""
    gc.unfreeze()
    found = gc.collect()
    gc.freeze()
    return found


@dataclass(frozen=True, slots=True)
class Schedule:
    """When all was searched last, and how many megabytes were in use afterwards."""

    searched_on: date
    memory: int

    def is_due(self, day: date, hour: int, memory: int) -> bool:
        """Once a day, in the quiet hour; before that only where memory has grown by much."""
        return memory >= self.memory + MUCH_MORE or (day != self.searched_on and hour == QUIET_HOUR)


def memory_in_use() -> int:
    """Megabytes of this process; 0 where no /proc tells."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // _MEGABYTE
