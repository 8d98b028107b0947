"""Bringing strategies to where they hold shares and are watched, and seeing how they end."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from api.starting import StartedRun
from bench.market import stops_of
from bench.people import Holder, Planned, add_holders, add_strategies, start_all
from bench.stack import World, until
from cache.heartbeats import read_beats

# Let what the buying has set in motion come to rest: looks into books, views, the listener's own comparison.
REST_SECONDS = 5.0
_ARMED_EXITS = "SELECT count(*) FROM orders WHERE leg = 'exit' AND state = 'armed'"
_OPEN_RUNS = "SELECT count(*) FROM runs WHERE state <> 'ended'"
_FIRED_BY = "SELECT leg, fired_by, count(*) FROM orders WHERE sent_at IS NOT NULL GROUP BY leg, fired_by ORDER BY leg, fired_by"
_AGAIN = (
    "SELECT leg, COALESCE(refusal, state) AS why, count(*) FROM orders"
    " WHERE state IN ('rejected', 'absent', 'unknown', 'cancelled') GROUP BY leg, why ORDER BY leg, why"
)
_LATE = "SELECT count(*), min(late_ms), max(late_ms) FROM orders WHERE leg = :leg AND sent_at IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Held:
    """Strategies that hold shares, each with its run."""

    planned: tuple[Planned, ...]
    runs: tuple[StartedRun, ...]


async def hold(world: World, wanted: Sequence[tuple[Holder, str]]) -> Held:
    """Starts one strategy per (holder, symbol) at once; returns when each is bought, covered and watched by the listener."""
    covered_before = await world.number(_ARMED_EXITS)
    stops = await stops_of(world, {symbol for _, symbol in wanted})
    planned = await add_strategies(world, wanted, stops=stops)
    world.say(f"starting {len(planned)} strategies that buy at once")
    runs = await start_all(world, planned, now_wanted=True)
    await until_covered(world, covered_before + len(planned))
    return Held(tuple(planned), tuple(runs))


async def until_covered(world: World, count: int) -> None:
    """So many exits are armed, and the listener watches that many stops. Raises BenchFailed."""
    seconds = 120 + count / 4

    async def all_armed() -> bool:
        return await world.number(_ARMED_EXITS) >= count

    async def all_watched() -> bool:
        beat = (await read_beats(world.services.redis, "listener")).get("listener")
        return beat is not None and int(beat.data["stops"] or 0) >= count

    await until(all_armed, f"{count} covered positions", seconds=seconds)
    await until(all_watched, f"{count} stops to be watched", seconds=60)
    await asyncio.sleep(REST_SECONDS)


async def one_holder_each(world: World, prefix: str, symbols: Sequence[str]) -> list[tuple[Holder, str]]:
    """A person with an account of their own for every symbol named, repeated ones included."""
    holders = await add_holders(world, [f"{prefix}{number}" for number in range(len(symbols))])
    return list(zip(holders, symbols, strict=True))


async def until_ended(world: World, *, open_runs: int = 0, seconds: float = 300.0) -> float:
    """Seconds until at most so many runs are open. Raises BenchFailed."""

    async def ended() -> bool:
        return await world.number(_OPEN_RUNS) <= open_runs

    return await until(ended, "the runs to end", seconds=seconds)


async def who_was_first(world: World) -> dict[str, float | str]:
    """How many orders the desks had sent by themselves, and how many an activity had asked for; attempts that came to nothing."""
    sent, ended = await world.fetch(_FIRED_BY), await world.fetch(_AGAIN)
    return {
        **{f"{leg} orders sent by {fired_by}": int(count) for leg, fired_by, count in sent},
        **{f"{leg} attempts that ended {why}": int(count) for leg, why, count in ended},
    }


async def recorded_lateness(world: World, leg: str) -> dict[str, float | str]:
    """What the rows themselves say about how late their orders left."""
    count, least, most = (await world.fetch(_LATE, leg=leg))[0]
    return {
        f"{leg} orders with a recorded lateness": int(count),
        f"least recorded lateness of an {leg} (ms)": -1 if least is None else int(least),
        f"most recorded lateness of an {leg} (ms)": -1 if most is None else int(most),
    }
