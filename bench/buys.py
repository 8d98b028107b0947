"""Many buys in one second: how late each order arrives, that none is early, and how soon its position is covered."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bench.holding import one_holder_each, recorded_lateness, who_was_first
from bench.market import stops_of, symbol_named
from bench.people import Holder, Times, add_holders, add_strategies, start_all
from bench.result import Measured, Row, Statistic, Target
from bench.stack import BenchFailed, Options, World, running_world
from bench.stops import IN_ONE_ACCOUNT
from bench.wire import SECOND_NS, milliseconds
from trading.sessions import INDIA

LATENESS = (Target(Statistic.P99, 400), Target(Statistic.LEAST, 0, at_least=True))
COVERED = (Target(Statistic.P99, 2_000),)
_HERD, _ONE_ACCOUNT = symbol_named(1), symbol_named(2)
# Time to start all of them before their moment: so many a second at the least, and their lead.
_STARTS_PER_SECOND = 8
_LEAD_SECONDS = 30
_FILLED_SECONDS = 300.0
# Each look costs the database a few milliseconds, which the orders do not have then.
_LOOK_SECONDS = 0.1
_COVERED = "SELECT DISTINCT run_id FROM orders WHERE leg = 'exit' AND account_id = ANY(:accounts)"
_RUN_OF_TAG = "SELECT tag, run_id FROM orders WHERE leg = 'entry' AND account_id = ANY(:accounts)"


@dataclass(frozen=True, slots=True)
class Bought:
    """Milliseconds each: the instant to the order's arrival, and the first fill to the armed stop."""

    late: tuple[float, ...]
    covered: tuple[float, ...]
    problems: tuple[str, ...]


async def measure(options: Options) -> Measured:
    async with running_world(options, symbols=2) as world:
        wanted = await one_holder_each(world, "herd", [_HERD] * options.count)
        herd = await _buy_together(world, wanted)
        facts = await recorded_lateness(world, "entry")
        few = min(options.count, IN_ONE_ACCOUNT)
        paced = await _buy_together(world, [((await add_holders(world, ["paced"]))[0], _ONE_ACCOUNT)] * few)
        facts |= await who_was_first(world)
        one = f"{options.count:,} buys at one instant"
        promised = options.count >= 1_000
        wire = "instant to arrival at the exchange"
        cover = "first fill to the armed stop being seen in Postgres, looked for every 100 ms"
        pace = "limited by the broker's pace of 8 order writes a second and account"
        rows = (
            Row(f"{one}: lateness", "ms", herd.late, LATENESS if promised else LATENESS[1:], wire),
            Row(f"{one}: earliest", "ms", (min(herd.late),), LATENESS[1:], "below zero would be early"),
            Row(f"{one}: covered", "ms", herd.covered, COVERED, cover),
            Row(f"{few} buys of one account: lateness", "ms", paced.late, LATENESS[1:], pace),
        )
        return Measured(rows, facts=facts, problems=(*herd.problems, *paced.problems))


async def _buy_together(world: World, wanted: Sequence[tuple[Holder, str]]) -> Bought:
    count = len(wanted)
    buy_at = datetime.now(INDIA).replace(microsecond=0) + timedelta(seconds=_LEAD_SECONDS + count / _STARTS_PER_SECOND)
    buy_at = buy_at.replace(microsecond=0)
    stops = await stops_of(world, {symbol for _, symbol in wanted})
    planned = await add_strategies(world, wanted, stops=stops, times=Times(buy=buy_at.time()))
    world.say(f"starting {count} strategies that buy at {buy_at:%H:%M:%S} in India")
    runs = await start_all(world, planned, now_wanted=False)
    if any(started.run.buy_at != buy_at for started in runs):
        raise BenchFailed(f"{count} strategies could not all be started before {buy_at:%H:%M:%S}")
    mark = world.log.mark()
    accounts = list({holder.account_id for holder, _ in wanted})
    await asyncio.sleep(max(0.0, buy_at.timestamp() - 1 - time.time()))
    seen = await _see_covered(world, mark, accounts, count)
    instant_ns = int(buy_at.timestamp()) * SECOND_NS
    arrivals = world.log.arrivals(mark, "BUY")
    bought = await _first_fill_of_runs(world, mark, accounts)
    late = tuple(milliseconds(arrived_ns, instant_ns) for arrived_ns in arrivals)
    covered = tuple(milliseconds(seen[run_id], filled_ns) for run_id, filled_ns in bought.items())
    early = sum(each < 0 for each in late)
    problems = [f"{early} buys were early"] if early else []
    problems += [f"{len(arrivals)} buys reached the exchange for {count} strategies"] if len(arrivals) != count else []
    return Bought(late, covered, tuple(problems))


async def _see_covered(world: World, mark: int, accounts: Sequence[str], count: int) -> dict[str, int]:
    """By run: when its exit was first seen in the database, nanoseconds. Raises BenchFailed."""
    seen: dict[str, int] = {}
    deadline = time.monotonic() + _FILLED_SECONDS
    while len(seen) < count:
        if time.monotonic() > deadline:
            bought = len(world.log.first_fills(mark, "BUY"))
            raise BenchFailed(f"{bought} of {count} were bought and {len(seen)} covered within {_FILLED_SECONDS:.0f} s")
        rows = await world.fetch(_COVERED, accounts=list(accounts))
        now_ns = time.time_ns()
        for (run_id,) in rows:
            seen.setdefault(run_id, now_ns)
        await asyncio.sleep(_LOOK_SECONDS)
    return seen


async def _first_fill_of_runs(world: World, mark: int, accounts: Sequence[str]) -> dict[str, int]:
    """By run: when the exchange gave it its first share, nanoseconds, whichever attempt that was."""
    run_of = {tag: run_id for tag, run_id in await world.fetch(_RUN_OF_TAG, accounts=list(accounts))}
    found: dict[str, int] = {}
    for tag, filled_ns in world.log.first_fills(mark, "BUY").items():
        if tag in run_of:
            found.setdefault(run_of[tag], filled_ns)
    return found
