"""The API under load: status at a hundred requests a second, lists, creation, and status while people log in.

Requests leave at their planned instants whether or not earlier ones were answered, and count from those instants: a server that
stalls cannot slow its own measurement down. One client process, on the same machine.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from bench.holding import one_holder_each
from bench.market import stops_of, symbol_named, symbols
from bench.people import Planned, add_strategies, start_all, token_of
from bench.result import Measured, Row, Statistic, Target
from bench.running import LATE_IN_THE_DAY
from bench.stack import Options, World, running_world
from bench.usage import spending
from tests.chaos.calls import Caller

PEOPLE, STRATEGIES_EACH, LISTED = 20, 10, 100
STATUS_PER_SECOND, LIST_PER_SECOND, CREATE_PER_SECOND, LOGIN_PER_SECOND = 100, 5, 5, 2
# Requests that are not counted, before each measurement of status: they open connections, and read what nobody has asked after
# for a while.
WARMING = 100
STATUS = (Target(Statistic.P99, 20),)
CREATE = (Target(Statistic.P99, 50),)
_PASSWORD = "correct horse battery"  # noqa: S105 (of made-up people on a stack that ends with the measurement)
_EMAIL = "logs-in@example.org"
# Logging in is limited per person and address on purpose; here somebody does it twice a second.
_SETTINGS = {"LOGIN_ATTEMPTS_PER_MINUTE": "100000"}


async def measure(options: Options) -> Measured:
    """`options.count` requests of status; the others in proportion."""
    async with running_world(options, symbols=PEOPLE, given=_SETTINGS) as world:
        planned = await _running_strategies(world)
        callers = {each.holder.key: Caller(world.http, world.api_url, token_of(world, each.holder)) for each in planned}
        await _anonymous(world)("POST", "/auth/register", {"email": _EMAIL, "password": _PASSWORD})
        status, list_page, create, log_in = _calls(world, planned, callers)
        seconds = options.count / STATUS_PER_SECOND
        await at_a_rate(status, per_second=STATUS_PER_SECOND, count=WARMING)
        world.say(f"asking for status {STATUS_PER_SECOND} times a second for {seconds:.0f} s")
        with spending(world.stack) as alone_spent:
            alone = await at_a_rate(status, per_second=STATUS_PER_SECOND, count=options.count)
        lists = await at_a_rate(list_page, per_second=LIST_PER_SECOND, count=max(1, round(seconds * LIST_PER_SECOND)))
        creates = await at_a_rate(create, per_second=CREATE_PER_SECOND, count=max(1, round(seconds * CREATE_PER_SECOND)))
        world.say("the same while somebody logs in twice a second")
        await at_a_rate(status, per_second=STATUS_PER_SECOND, count=WARMING)
        with spending(world.stack) as logins_spent:
            meanwhile, logins = await asyncio.gather(
                at_a_rate(status, per_second=STATUS_PER_SECOND, count=options.count),
                at_a_rate(log_in, per_second=LOGIN_PER_SECOND, count=max(1, round(seconds * LOGIN_PER_SECOND))),
            )
    running = f"{PEOPLE} people with {STRATEGIES_EACH} running strategies each"
    rows = (
        Row(f"status, {STATUS_PER_SECOND} a second", "ms", tuple(alone), STATUS, running),
        Row(f"list of {STRATEGIES_EACH}, {LIST_PER_SECOND} a second", "ms", tuple(lists)),
        Row(f"create, {CREATE_PER_SECOND} a second", "ms", tuple(creates), CREATE),
        Row(f"status, {STATUS_PER_SECOND} a second, during logins", "ms", tuple(meanwhile), STATUS, "argon2id in threads beside"),
        Row(f"login, {LOGIN_PER_SECOND} a second", "ms", tuple(logins)),
    )
    facts: dict[str, float | str] = {
        f"{name} {phase} (percent of a core)": round(value, 1)
        for phase, spent in (("during status", alone_spent), ("during status and logins", logins_spent))
        for name, value in spent.percent.items()
    }
    return Measured(rows, facts=facts)


async def at_a_rate(call: Callable[[int], Awaitable[Any]], *, per_second: float, count: int) -> list[float]:
    """Milliseconds from each request's planned instant to its answer. Raises what a call raises."""
    loop = asyncio.get_running_loop()

    async def one(number: int, planned_at: float) -> float:
        await call(number)
        return (loop.time() - planned_at) * 1000

    # Each is made when its time comes: thousands of them at once would keep this process from sending the first ones.
    began, under_way = loop.time(), list[asyncio.Task[float]]()
    for number in range(count):
        planned_at = began + number / per_second
        await asyncio.sleep(planned_at - loop.time())
        under_way.append(asyncio.create_task(one(number, planned_at)))
    return await asyncio.gather(*under_way)


async def _running_strategies(world: World) -> list[Planned]:
    names = symbols(1, PEOPLE)
    wanted = await one_holder_each(world, "asks", names)
    stops = await stops_of(world, names)
    many = [(holder, symbol) for holder, symbol in wanted for _ in range(STRATEGIES_EACH)]
    planned = await add_strategies(world, many, stops=stops, times=LATE_IN_THE_DAY)
    await start_all(world, planned, now_wanted=False)
    return planned


Call = Callable[[int], Awaitable[Any]]


def _calls(world: World, planned: list[Planned], callers: dict[str, Caller]) -> tuple[Call, Call, Call, Call]:
    async def status(_: int) -> None:
        chosen = random.choice(planned)
        await callers[chosen.holder.key]("GET", f"/strategy/status/{chosen.strategy_id}")

    async def list_page(number: int) -> None:
        await _caller(number)("GET", f"/strategy/list?limit={LISTED}")

    async def create(number: int) -> None:
        plan = {"symbol": symbol_named(1), "quantity": 1, "buy_time": "09:30:00", "sell_time": "15:00:00", "stop_loss": 50}
        await _caller(number)("POST", "/strategy/create", plan)

    async def log_in(_: int) -> None:
        await _anonymous(world)("POST", "/auth/login", {"email": _EMAIL, "password": _PASSWORD})

    def _caller(number: int) -> Caller:
        return callers[planned[number * STRATEGIES_EACH % len(planned)].holder.key]

    return status, list_page, create, log_in


def _anonymous(world: World) -> Caller:
    return Caller(world.http, world.api_url)
