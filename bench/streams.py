"""A thousand live streams open in one API process: what they cost, and how soon a line reaches its readers.

Each reader is a socket of its own that reads what comes. Prices move four times a second meanwhile. A line's way begins when its
transaction has been committed and its hint is about to be published, and ends when the reader has its last byte.
"""

import asyncio
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench.holding import one_holder_each
from bench.market import stops_of, symbols
from bench.people import Planned, add_strategies, start_all, token_of
from bench.result import Measured, Row, Statistic, Target
from bench.running import LATE_IN_THE_DAY
from bench.stack import Options, World, running_world
from bench.usage import spending, usage_of
from cache.channels import publish_run_event
from execution.rows import newest_events
from execution.timeline import tell
from storage.models import Run

PEOPLE, LINES, OPENING_AT_ONCE = 20, 200, 50
IDLE_SECONDS = 15.0
PRICE_SECONDS = 0.25
LINE = (Target(Statistic.P99, 250),)
_SETTINGS = {"RATE_LIMIT_PER_MINUTE": "100000", "STREAMS_PER_USER": "100000"}


@dataclass(slots=True)
class Reader:
    """One open stream. `arrived`: when each line marked by us came, by its mark; `prices`: how many prices came."""

    arrived: dict[str, float] = field(default_factory=dict)
    prices: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, api_url: str, token: str) -> None:
        parts = urlsplit(api_url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        lines = [f"GET {parts.path}/stream HTTP/1.1", f"Host: {parts.netloc}", f"Authorization: Bearer {token}", "", ""]
        writer.write("\r\n".join(lines).encode())
        try:
            while line := await reader.readline():
                if line.startswith(b"event: snapshot"):
                    self.opened.set()
                elif line.startswith(b"event: price"):
                    self.prices += 1
                elif b"mark-" in line:
                    self.arrived[line.partition(b"mark-")[2].partition(b" ")[0].decode()] = time.perf_counter()
        finally:
            writer.close()


async def measure(options: Options) -> Measured:
    """`options.count` streams."""
    async with running_world(options, symbols=PEOPLE, given=_SETTINGS) as world:
        planned = await _running(world)
        alone = usage_of(world.stack)["api"].memory_mb
        world.say(f"opening {options.count} streams")
        began = time.perf_counter()
        readers, tasks = await _open(world, planned)
        opening = time.perf_counter() - began
        memory = usage_of(world.stack)["api"].memory_mb - alone
        try:
            world.say(f"prices alone for {IDLE_SECONDS:.0f} s, then {LINES} lines")
            prices = sum(each.prices for some in readers.values() for each in some)
            with spending(world.stack) as quiet:
                await asyncio.sleep(IDLE_SECONDS)
            prices = sum(each.prices for some in readers.values() for each in some) - prices
            with spending(world.stack) as busy:
                delays = await _lines(world, planned, readers)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    expected = LINES * options.count // len(planned)
    facts: dict[str, float | str] = {
        "seconds to open all": round(opening, 1),
        "memory of one stream (KB)": round(memory * 1024 / options.count, 1),
        "prices a second, to all streams": round(prices / IDLE_SECONDS, 1),
        "api with prices alone (percent of a core)": round(quiet.percent["api"], 1),
        "api with lines as well (percent of a core)": round(busy.percent["api"], 1),
        "the readers of this measurement (percent of a core)": round(busy.percent["bench"], 1),
        "whole machine meanwhile (percent of a core)": round(busy.percent["whole machine"], 1),
        "lines that did not arrive": expected - len(delays),
    }
    remark = f"{options.count} streams of {len(planned)} people in one process; each line goes to all streams of one of them"
    return Measured((Row("a line, until it is read", "ms", tuple(delays), LINE, remark),), facts=facts)


async def _running(world: World) -> list[Planned]:
    names = symbols(1, PEOPLE)
    wanted = await one_holder_each(world, "watches", names)
    planned = await add_strategies(world, wanted, stops=await stops_of(world, names), times=LATE_IN_THE_DAY)
    await start_all(world, planned, now_wanted=False)
    moving = {"kind": "walk", "interval_seconds": PRICE_SECONDS, "step_bps": 5}
    await world.control("POST", "/prices/source", {"symbols": names, "source": moving})
    return planned


async def _open(world: World, planned: list[Planned]) -> tuple[dict[str, list[Reader]], list[asyncio.Task[None]]]:
    """By strategy."""
    readers: dict[str, list[Reader]] = {each.strategy_id: [] for each in planned}
    tasks: list[asyncio.Task[None]] = []
    gate = asyncio.Semaphore(OPENING_AT_ONCE)

    async def one(number: int) -> None:
        chosen = planned[number % len(planned)]
        reader = Reader()
        async with gate:
            tasks.append(asyncio.create_task(reader.read(world.api_url, token_of(world, chosen.holder))))
            async with asyncio.timeout(120):
                await reader.opened.wait()
        readers[chosen.strategy_id].append(reader)

    await asyncio.gather(*(one(number) for number in range(world.options.count)))
    return readers, tasks


async def _lines(world: World, planned: list[Planned], readers: dict[str, list[Reader]]) -> list[float]:
    """Milliseconds of each line to each of its readers."""
    left: dict[str, float] = {}
    for number in range(LINES):
        chosen = planned[number % len(planned)]
        async with world.services.database.transaction() as session:
            run_id = (await world.fetch("SELECT id FROM runs WHERE strategy_id = :id", id=chosen.strategy_id))[0][0]
            tell(session, await session.get_one(Run, run_id), "measured", f"mark-{number} of the measurement")
        async with world.services.database.transaction() as session:
            hints = await newest_events(session, [chosen.strategy_id])
        left[str(number)] = time.perf_counter()
        for hint in hints:
            await publish_run_event(world.services.redis, hint.user_id, hint.strategy_id, sequence=hint.sequence)
        await asyncio.sleep(0.05)
    await asyncio.sleep(5.0)
    return [
        (arrived - left[mark]) * 1000 for some in readers.values() for reader in some for mark, arrived in reader.arrived.items()
    ]
