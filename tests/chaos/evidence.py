"""What is known at the end, as data: the exchange's own log, the paper books, and what our rows say of the same orders."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import asyncpg

from local.parts.postgres import DATABASE
from tests.chaos.entries import Entry, read_log
from tests.chaos.paper import PaperBooks, read_books


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """One attempt as our rows have it. `deadline`: seconds since the epoch, entries only."""

    tag: str
    leg: str
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run as our rows have it. Instants are seconds since the epoch. `stops`: since when which stop was in force."""

    run_id: str
    account: str
    symbol: str
    orders: tuple[OrderFacts, ...]
    stops: tuple[tuple[float, Decimal], ...] = ()
    bought: int = 0
    sold: int = 0
    taken_elsewhere: int = 0
    is_ended: bool = True
    end_reason: str | None = None
    left_open_at: float | None = None
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """`log`: what the paper books say, and after it what the exchange saw. `events`: how often each kind of line was written into
    the runs' timelines."""

    log: tuple[Entry, ...]
    runs: tuple[RunFacts, ...]
    events: Mapping[str, int] = field(default_factory=dict)
    paper: PaperBooks = field(default_factory=PaperBooks)


_RUNS = """
    SELECT r.id, r.account_id, r.symbol, r.bought, r.sold, r.taken_elsewhere, r.state, r.end_reason, r.leave_open,
           r.stop_requested_at, r.created_at, s.stop_loss
    FROM runs r JOIN strategies s ON s.id = r.strategy_id
"""
_ORDERS = "SELECT run_id, tag, leg, deadline_at FROM orders"
_STOPS = "SELECT run_id, at, price FROM run_events WHERE kind = 'plan_changed' AND price IS NOT NULL ORDER BY sequence"
_EVENTS = "SELECT kind, count(*) AS number FROM run_events GROUP BY kind"
_ALARMS = "SELECT run_id, account_id, kind FROM alerts WHERE cleared_at IS NULL"


async def collect(log: Path, sockets: Path, *, api_keys: Mapping[str, str]) -> Evidence:
    """Everything there is. `api_keys`: the exchange's name of each of our accounts, and one for each on paper."""
    connection = await asyncpg.connect(host=str(sockets), user="postgres", database=DATABASE, timeout=10)
    try:
        runs = await _read_runs(connection, api_keys)
        events = {row["kind"]: row["number"] for row in await connection.fetch(_EVENTS)}
        paper = await read_books(connection, api_keys)
    finally:
        await connection.close()
    return Evidence((*paper.log(), *read_log(log)), runs, events, paper)


async def _read_runs(connection: "asyncpg.Connection[asyncpg.Record]", api_keys: Mapping[str, str]) -> tuple[RunFacts, ...]:
    runs, orders, stops, alarms = [await connection.fetch(query) for query in (_RUNS, _ORDERS, _STOPS, _ALARMS)]
    orders_of: dict[str, list[OrderFacts]] = {}
    for row in orders:
        orders_of.setdefault(row["run_id"], []).append(OrderFacts(row["tag"], row["leg"], _seconds(row["deadline_at"])))
    stops_of: dict[str, list[tuple[float, Decimal]]] = {}
    for row in stops:
        stops_of.setdefault(row["run_id"], []).append((row["at"].timestamp(), row["price"]))
    return tuple(
        RunFacts(
            run_id=row["id"],
            account=api_keys[row["account_id"]],
            symbol=row["symbol"],
            orders=tuple(orders_of.get(row["id"], ())),
            stops=((row["created_at"].timestamp(), row["stop_loss"]), *stops_of.get(row["id"], ())),
            bought=row["bought"],
            sold=row["sold"],
            taken_elsewhere=row["taken_elsewhere"],
            is_ended=row["state"] == "ended",
            end_reason=row["end_reason"],
            left_open_at=_seconds(row["stop_requested_at"]) if row["leave_open"] else None,
            alarms=tuple(sorted({alarm["kind"] for alarm in alarms if _concerns(alarm, row)})),
        )
        for row in runs
    )


def _seconds(instant: datetime | None) -> float | None:
    return None if instant is None else instant.timestamp()


def _concerns(alarm: asyncpg.Record, run: asyncpg.Record) -> bool:
    """An alarm about the run itself, or about its whole account."""
    if alarm["run_id"] is not None:
        return bool(alarm["run_id"] == run["id"])
    return alarm["account_id"] is not None and bool(alarm["account_id"] == run["account_id"])
