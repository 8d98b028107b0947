"""What one run costs from its start to its end by a stop: rows, transactions, log of the database; Temporal's history.

Runs live one after the other on an otherwise idle platform. What the platform writes without any run is measured first and
taken off.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from bench.holding import Held, hold, one_holder_each, until_ended
from bench.market import symbols
from bench.result import Measured, Row
from bench.stack import Options, World, running_world
from bench.stop import cross_one_by_one

_IDLE_SECONDS = 30.0
# Postgres' processes tell their counts to each other after ten idle seconds at the latest.
_COUNTED_AFTER_SECONDS = 12.0
_TABLES = "SELECT relname, n_tup_ins, n_tup_upd + n_tup_del FROM pg_stat_user_tables"
_DATABASE = (
    "SELECT xact_commit, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') FROM pg_stat_database WHERE datname = current_database()"
)


@dataclass(frozen=True, slots=True)
class Writes:
    """Counted since the database was made. `rows`: by table, inserted and changed."""

    at: float
    rows: Mapping[str, tuple[int, int]]
    commits: int
    wal_bytes: int


async def measure(options: Options) -> Measured:
    async with running_world(options, symbols=options.count) as world:
        wanted = await one_holder_each(world, "one", symbols(1, options.count))
        await asyncio.sleep(_COUNTED_AFTER_SECONDS)
        world.say(f"counting what is written without any run, for {_IDLE_SECONDS:.0f} s")
        idle_from = await _writes(world)
        await asyncio.sleep(_IDLE_SECONDS + _COUNTED_AFTER_SECONDS)
        before = await _writes(world)
        world.say(f"{options.count} runs from their start to their stop")
        held = await hold(world, wanted)
        await cross_one_by_one(world, held)
        await until_ended(world)
        await asyncio.sleep(_COUNTED_AFTER_SECONDS)
        after = await _writes(world)
        rows, history = await _histories(world, held)
    facts = _per_run(idle_from, before, after, runs=options.count)
    return Measured(rows, facts={**history, **facts})


async def _writes(world: World) -> Writes:
    rows = {name: (int(inserted), int(changed)) for name, inserted, changed in await world.fetch(_TABLES)}
    commits, wal_bytes = (await world.fetch(_DATABASE))[0]
    return Writes(time.monotonic(), rows, int(commits), int(wal_bytes))


def _per_run(idle_from: Writes, before: Writes, after: Writes, *, runs: int) -> dict[str, float | str]:
    """Every table that a run writes to, and their sum; `desk_leases` is written by the clock, not by runs."""
    idle_seconds = before.at - idle_from.at
    share = (after.at - before.at) / idle_seconds

    def per_run(count: Callable[[Writes], int]) -> float:
        """What came with the runs: all of it without what the same time brings by itself."""
        idle = count(before) - count(idle_from)
        return max(0.0, count(after) - count(before) - idle * share) / runs

    found: dict[str, float | str] = {}
    total = 0.0
    for table in sorted(set(after.rows) - {"desk_leases"}):
        inserted, changed = per_run(partial(_rows, table, 0)), per_run(partial(_rows, table, 1))
        if max(inserted, changed) >= 0.1:
            found[f"rows of {table} per run, inserted + changed"] = f"{inserted:.1f} + {changed:.1f}"
            total += inserted + changed
    found["rows written per run"] = round(total, 1)
    found["transactions of Postgres per run, reads included"] = round(per_run(lambda writes: writes.commits), 1)
    found["write-ahead log of Postgres per run (KiB)"] = round(per_run(lambda writes: writes.wal_bytes) / 1024, 1)
    found["transactions of Postgres per second without any run"] = round((before.commits - idle_from.commits) / idle_seconds, 1)
    return found


def _rows(table: str, kind: int, writes: Writes) -> int:
    return writes.rows.get(table, (0, 0))[kind]


async def _histories(world: World, held: Held) -> tuple[tuple[Row, ...], dict[str, float | str]]:
    events, sizes, transitions = [], [], []
    for started in held.runs:
        handle = world.services.temporal.get_workflow_handle(started.run.workflow_id)
        info = (await handle.describe()).raw_info
        events.append(float(info.history_length))
        sizes.append(info.history_size_bytes / 1024)
        transitions.append(float(info.state_transition_count))
    rows = (
        Row("history of one run", "events", tuple(events)),
        Row("history of one run, size", "KiB", tuple(sizes)),
        Row("state transitions of one run", "writes", tuple(transitions)),
    )
    kinds: dict[str, float | str] = {}
    async for event in world.services.temporal.get_workflow_handle(held.runs[0].run.workflow_id).fetch_history_events():
        name = f"events of one history: {_kind(event.WhichOneof('attributes'))}"
        kinds[name] = int(kinds.get(name, 0)) + 1
    return rows, kinds


def _kind(attributes: str | None) -> str:
    return (attributes or "unknown").removesuffix("_event_attributes").replace("_", " ")
