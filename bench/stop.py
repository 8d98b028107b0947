"""One stop at a time: from the tick's send to the order's arrival."""

import asyncio
import random

from bench.holding import Held, hold, one_holder_each, until_ended, who_was_first
from bench.market import cross, symbols
from bench.result import Measured, Row, Statistic, Target
from bench.stack import BenchFailed, Options, World, running_world
from bench.wire import milliseconds

TARGETS = (Target(Statistic.P50, 5), Target(Statistic.P99, 15))
# Between two crossings: long enough for the one before to be over, and never in step with a loop of ours.
PAUSE_SECONDS = (0.3, 0.6)
_ARRIVAL_SECONDS = 30.0
_LOOK_SECONDS = 0.02


async def measure(options: Options) -> Measured:
    async with running_world(options, symbols=options.count) as world:
        held = await hold(world, await one_holder_each(world, "one", symbols(1, options.count)))
        world.say(f"crossing {options.count} stops, one after the other")
        delays = await cross_one_by_one(world, held)
        await until_ended(world)
        remark = "each strategy with an account and a share of its own; shares tick once a second meanwhile"
        row = Row("one stop, tick to order at the exchange", "ms", tuple(delays), TARGETS, remark)
        return Measured((row,), facts=await who_was_first(world))


async def cross_one_by_one(world: World, held: Held) -> list[float]:
    """Milliseconds of each. Every strategy needs an account and a symbol of its own. Raises BenchFailed."""
    delays = []
    for planned in held.planned:
        mark = world.log.mark()
        sent_ns = await cross(world, [planned.symbol])
        delays.append(milliseconds(await _arrival(world, mark, planned.holder.key), sent_ns))
        await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
    return delays


async def _arrival(world: World, mark: int, account: str) -> int:
    for _ in range(int(_ARRIVAL_SECONDS / _LOOK_SECONDS)):
        arrived = world.log.first_arrivals(mark, "SELL")
        if account in arrived:
            return arrived[account]
        await asyncio.sleep(_LOOK_SECONDS)
    raise BenchFailed(f"no sale of {account} reached the exchange within {_ARRIVAL_SECONDS:.0f} s of its stop")
