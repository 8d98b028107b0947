"""Many stops on one tick; beside them as many as one account can hold, at the broker's own pace."""

import asyncio

from bench.holding import hold, one_holder_each, recorded_lateness, until_ended, who_was_first
from bench.market import cross, symbol_named
from bench.people import add_holders
from bench.result import Measured, Row, Statistic, Target
from bench.stack import BenchFailed, Options, World, running_world, until
from bench.wire import milliseconds

TARGETS = (Target(Statistic.P99, 500),)
# Three writes per open position stay in reserve of 200 a minute: an account admits no more than some sixty at once.
IN_ONE_ACCOUNT = 40
_HERD, _ONE_ACCOUNT = symbol_named(1), symbol_named(2)
_FLAT_SECONDS, _LOOK_SECONDS = 300.0, 1.0


async def measure(options: Options) -> Measured:
    async with running_world(options, symbols=2) as world:
        await hold(world, await one_holder_each(world, "herd", [_HERD] * options.count))
        world.say(f"one tick crosses {options.count} stops")
        herd, flat_ms, problems = await _cross(world, _HERD, options.count)
        ended_seconds = await until_ended(world)
        facts: dict[str, float | str] = {
            "last share of the herd sold after (ms)": flat_ms,
            "all runs ended after another (s)": ended_seconds,
        }
        facts |= await who_was_first(world) | await recorded_lateness(world, "exit")
        paced, few = await _one_account(world, min(options.count, IN_ONE_ACCOUNT))
        rows = (
            Row(
                f"{options.count:,} stops on one tick",
                "ms",
                tuple(herd),
                TARGETS if options.count >= 1_000 else (),
                "one account per strategy, all of the same share",
            ),
            paced,
        )
        return Measured(rows, facts=facts, problems=(*problems, *few))


async def _one_account(world: World, count: int) -> tuple[Row, list[str]]:
    holder = (await add_holders(world, ["paced"]))[0]
    # The first one brings the price with it: an account may ask its broker for one quote a second.
    await hold(world, [(holder, _ONE_ACCOUNT)])
    if count > 1:
        await hold(world, [(holder, _ONE_ACCOUNT)] * (count - 1))
    delays, _, problems = await _cross(world, _ONE_ACCOUNT, count)
    await until_ended(world)
    remark = "limited by the broker's pace of 8 order writes a second and account"
    return Row(f"{count} stops of one account", "ms", tuple(delays), (), remark), problems


async def _cross(world: World, symbol: str, count: int) -> tuple[list[float], float, list[str]]:
    """Milliseconds of each arrival, milliseconds until the last share was sold, and what is wrong with the herd."""
    mark = world.log.mark()
    sent_ns = await cross(world, [symbol])

    async def all_sold() -> bool:
        return len(world.log.first_fills(mark, "SELL")) >= count

    # Looking costs time that the orders need: not before most of them have left, and seldom.
    await asyncio.sleep(_LOOK_SECONDS)
    await until(all_sold, f"{count} sales", seconds=_FLAT_SECONDS, every=_LOOK_SECONDS)
    arrivals = world.log.arrivals(mark, "SELL")
    if not arrivals:
        raise BenchFailed("nothing was sold")
    problems = [] if len(arrivals) == count else [f"{len(arrivals)} sales reached the exchange for {count} stops"]
    delays = [milliseconds(arrived_ns, sent_ns) for arrived_ns in arrivals]
    return delays, milliseconds(world.log.last_fill_ns(mark, "SELL"), sent_ns), problems
