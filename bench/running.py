"""Many running strategies: how fast they start, what they cost, and whether one stop among them is still on time.

`waiting`: all of them wait for their buy time. `holding`: all of them hold shares. In both, a few more hold shares of their own
at each level, and their stops are crossed one by one.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import time as time_of_day

from bench.holding import REST_SECONDS, hold, until_ended, who_was_first
from bench.market import stops_of, symbol_named, symbols
from bench.people import AT_ONCE, Holder, Times, add_holders, add_strategies, start_all
from bench.result import Measured, Point, Row, Statistic, Target
from bench.stack import Options, World, running_world, until
from bench.stop import cross_one_by_one
from bench.summary import Summary
from bench.usage import Usage, as_facts, cpu_between, usage_of

LEVELS = (100, 1_000, 5_000, 10_000)
START = (Target(Statistic.MOST, 600),)
MEMORY = (Target(Statistic.MOST, 1_500),)
STOP = (Target(Statistic.P99, 30),)
# Stops that are crossed at each level, each of a share of its own; the others share these many.
PROBES, SHARED_SYMBOLS = 50, 100
_WATCH_SECONDS = 20.0
_AT_ONCE = f"{AT_ONCE} starts at a time"
LATE_IN_THE_DAY = Times(buy=time_of_day(23, 50, 0))
_BEGUN = "SELECT count(*) FROM runs WHERE state <> 'ended' AND started_at IS NOT NULL"


async def measure_waiting(options: Options) -> Measured:
    return await _measure(options, holding=False)


async def measure_holding(options: Options) -> Measured:
    return await _measure(options, holding=True)


def levels_up_to(count: int) -> list[int]:
    return [level for level in LEVELS if level < count] + [count]


async def _measure(options: Options, *, holding: bool) -> Measured:
    levels = levels_up_to(options.count)
    words = "holding" if holding else "waiting"
    rows: list[Row] = []
    curve: list[Point] = []
    starting: list[float] = []
    facts: dict[str, float | str] = {}
    shared = symbols(1 + PROBES * len(levels), SHARED_SYMBOLS)
    async with running_world(options, symbols=PROBES * len(levels) + SHARED_SYMBOLS) as world:
        running = 0
        for number, level in enumerate(levels):
            seconds = await _start(world, running, level, shared, holding=holding)
            started, running = level - running, level
            starting.append(seconds)
            usage, cpu = await _watch(world)
            probes = await _probes(world, number, running, count=min(PROBES, level))
            summary = Summary.of(probes)
            figures = {f"memory, MB: {name}": round(each.memory_mb, 1) for name, each in usage.items()}
            figures |= {f"percent of a core at rest: {name}": round(each, 1) for name, each in cpu.items()}
            figures |= {"one stop, ms: p50": summary.p50, "one stop, ms: p99": summary.p99}
            figures |= {"started per second: runs": started / seconds}
            curve.append(Point(level, figures))
            world.say(f"{level} {words}: {started / seconds:.0f} started a second, stop p50 {summary.p50:.1f} ms")
            rows.append(_stop_row(level, words, probes))
            if level == levels[-1]:
                rows += _rows_of_last(level, words, sum(starting), usage)
                facts |= as_facts(usage)
                facts |= {f"{name} at rest (percent of a core)": round(each, 1) for name, each in cpu.items()}
        facts |= await who_was_first(world)
    return Measured(tuple(rows), facts=facts, curve=tuple(curve))


def _stop_row(level: int, words: str, probes: Sequence[float]) -> Row:
    return Row(f"one stop among {level:,} {words}", "ms", tuple(probes), STOP if level >= 1_000 else ())


def _rows_of_last(level: int, words: str, seconds: float, usage: dict[str, Usage]) -> list[Row]:
    worker = sum(each.memory_mb for name, each in usage.items() if name.startswith("worker"))
    until = f"until each workflow has begun{', bought and is covered' if words == 'holding' else ''}; {_AT_ONCE}"
    return [
        Row(f"{level:,} {words} started", "s", (seconds,), START, until),
        Row(f"worker with {level:,} {words}", "MB", (worker,), MEMORY, "resident memory, all workers together"),
    ]


async def _start(world: World, running: int, level: int, shared: Sequence[str], *, holding: bool) -> float:
    """Seconds from the first start to the last begun (and, holding, to the last covered)."""
    wanted = await _with_accounts(world, running, level, shared)
    if holding:
        began = time.monotonic()
        await hold(world, wanted)
        return time.monotonic() - began - REST_SECONDS
    stops = await stops_of(world, set(shared))
    planned = await add_strategies(world, wanted, stops=stops, times=LATE_IN_THE_DAY)
    world.say(f"starting {len(planned)} strategies that wait for their buy time")
    began, begun = time.monotonic(), await world.number(_BEGUN)
    await start_all(world, planned, now_wanted=False)

    async def all_begun() -> bool:
        return await world.number(_BEGUN) >= begun + len(planned)

    await until(all_begun, f"{len(planned)} workflows to begin", seconds=600)
    return time.monotonic() - began


async def _with_accounts(world: World, running: int, level: int, shared: Sequence[str]) -> list[tuple[Holder, str]]:
    world.say(f"making {level - running} people with an account each")
    holders = await add_holders(world, [f"many{number}" for number in range(running, level)])
    return [(holder, shared[number % len(shared)]) for number, holder in enumerate(holders)]


async def _watch(world: World) -> tuple[dict[str, Usage], dict[str, float]]:
    """Memory, and the processor's share of each part while nothing happens but time and ticks."""
    await asyncio.sleep(REST_SECONDS)
    before, began = usage_of(world.stack), time.monotonic()
    await asyncio.sleep(_WATCH_SECONDS)
    after = usage_of(world.stack)
    return after, cpu_between(before, after, seconds=time.monotonic() - began)


async def _probes(world: World, number: int, running: int, *, count: int) -> list[float]:
    """Stops of a few more strategies, crossed one by one while the others run."""
    probe_symbols = [symbol_named(1 + number * PROBES + each) for each in range(count)]
    holders = await add_holders(world, [f"probe{number}x{each}" for each in range(count)])
    held = await hold(world, list(zip(holders, probe_symbols, strict=True)))
    delays = await cross_one_by_one(world, held)
    await until_ended(world, open_runs=running)
    return delays
