"""The great kill: one price crosses the stops of many accounts, and the only worker dies amid the exits."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from rich.table import Table

from local.parts.postgres import DATABASE
from tests.chaos.calls import Caller
from tests.chaos.entries import SECOND_NS, Entry
from tests.chaos.evidence import Evidence, collect
from tests.chaos.judge import Violation, judge
from tests.chaos.market import Market
from tests.chaos.people import http_session, platform_is_ready, sign_up_all
from tests.chaos.stack import Stack, running_stack
from tests.chaos.traders import Tally, Trader

SYMBOL, PRICE, STOP, CROSSING = "LT", "3700", "3650", "3640"
QUANTITY = 10
# The platform's own times, as it ships; only its limits on how often people may ask are lifted.
SETTINGS: Mapping[str, str] = {"LOGIN_ATTEMPTS_PER_MINUTE": "100000", "RATE_LIMIT_PER_MINUTE": "100000", "LOG_LEVEL": "info"}
# The worker dies when this share of the exits has reached the exchange.
DIES_AFTER = 1 / 3
COVERED_SECONDS = 240.0
# Only a failure takes this long.
FLAT_SECONDS = 180.0
_POLL_SECONDS = 0.25
_EXITS = "SELECT account_id, state FROM orders WHERE leg = 'exit'"
_OPEN_RUNS = "SELECT count(*) FROM runs WHERE state <> 'ended'"


@dataclass(frozen=True, slots=True)
class Report:
    """`seconds_to_flat`: from the worker's restart to the last share sold, per state of the exit when the worker died."""

    count: int
    arrived_at_kill: int
    restarted_after: float
    seconds_to_flat: Mapping[str, list[float]]
    problems: tuple[str, ...]

    def table(self) -> Table:
        """One line per state."""
        table = Table(title=f"the only worker killed with -9 amid {self.count} exits", show_header=False)
        table.add_row("exits at the exchange when it was killed", str(self.arrived_at_kill))
        table.add_row("its process was started again after", f"{self.restarted_after:.1f} s")
        for state, seconds in sorted(self.seconds_to_flat.items()):
            ordered = sorted(seconds)
            figures = f"median {ordered[len(ordered) // 2]:.1f} s, longest {ordered[-1]:.1f} s after the restart"
            table.add_row(f"exits then {state}: {len(ordered)}", figures)
        return table


async def run(state: Path, *, count: int, say: Callable[[str], None]) -> Report:
    """From nothing to a verdict. Raises StackFailed, and TimeoutError when the platform does not come far enough to be killed."""
    async with running_stack(state, workers=1, settings=SETTINGS) as stack, http_session() as http:
        control = Caller(http, f"{stack.control_url}/control")
        await control("POST", "/prices", {SYMBOL: PRICE})
        await platform_is_ready(Caller(http, f"{stack.api_url}/api/v1"))
        market = Market(control, random.Random(0))
        traders = [
            Trader(f"exit{number}", Caller(http, f"{stack.api_url}/api/v1"), control, market, random.Random(number), Tally(), 1)
            for number in range(count)
        ]
        say(f"signing {count} people up, each with an account and a strategy")
        await sign_up_all(traders)
        await asyncio.gather(*(_buy(trader) for trader in traders))
        await _until_covered(stack, count)
        say("all hold and are covered; the price falls")
        worker = stack.process("worker-1")
        dead = worker.pid if worker is not None else 0
        arrived, killed_at = await _cross_and_kill(stack, control, wanted=max(1, int(count * DIES_AFTER)))
        states = {account: state for account, state in await _fetch(stack, _EXITS)}
        say(f"killed with {arrived} exits at the exchange; their rows: {_counts(Counter(states.values()))}")
        restarted_at = await _restarted(stack, dead=dead)
        flat = await _until_ended(stack)
        api_keys = {trader.broker_id: trader.api_key for trader in traders}
        evidence = await collect(stack.exchange_log, stack.sockets, api_keys=api_keys)
    problems = [*(str(violation) for violation in judge(evidence).violations), *map(str, _not_sold(evidence, traders))]
    if not flat:
        problems.append(f"not every run had ended {FLAT_SECONDS:.0f} s after the kill")
    by_key = {api_keys[account]: state for account, state in states.items()}
    return Report(count, arrived, restarted_at - killed_at, _times(evidence, by_key, killed_at, restarted_at), tuple(problems))


async def _buy(trader: Trader) -> None:
    plan = {"symbol": SYMBOL, "quantity": QUANTITY, "buy_time": "00:00:00", "sell_time": "23:59:59", "stop_loss": STOP}
    strategy = (await trader.api.surely("POST", "/strategy/create", plan))["strategy_id"]
    await trader.api.surely("POST", f"/strategy/start/{strategy}", {"start": "now"})


async def _fetch(stack: Stack, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(host=str(stack.sockets), user="postgres", database=DATABASE, timeout=10)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def _until_covered(stack: Stack, count: int) -> None:
    async with asyncio.timeout(COVERED_SECONDS):
        while sum(row["state"] == "armed" for row in await _fetch(stack, _EXITS)) < count:
            await asyncio.sleep(_POLL_SECONDS)


async def _cross_and_kill(stack: Stack, control: Caller, *, wanted: int) -> tuple[int, float]:
    """How many exits had arrived when the worker was killed, and when that was (seconds since the epoch)."""
    process = stack.process("worker-1")
    if process is None:
        raise TimeoutError("the worker is not there to be killed")
    begin = stack.exchange_log.stat().st_size

    def wait_and_kill() -> tuple[int, float]:
        arrived = 0
        deadline = time.monotonic() + FLAT_SECONDS
        with stack.exchange_log.open("rb") as log:
            log.seek(begin)
            while arrived < wanted and time.monotonic() < deadline:
                arrived += sum(line.count(b'"action":"place"') for line in log.readlines())
            process.kill()
        return arrived, time.time()

    killing = asyncio.create_task(asyncio.to_thread(wait_and_kill))
    await control("POST", "/prices", {SYMBOL: CROSSING})
    return await killing


async def _restarted(stack: Stack, *, dead: int) -> float:
    """When the next worker process began, seconds since the epoch."""
    async with asyncio.timeout(FLAT_SECONDS):
        while not [pid for pid in stack.pids_running("worker.py") if pid != dead]:
            await asyncio.sleep(0.02)
        return time.time()


async def _until_ended(stack: Stack) -> bool:
    deadline = time.monotonic() + FLAT_SECONDS
    while time.monotonic() < deadline:
        if (await _fetch(stack, _OPEN_RUNS))[0][0] == 0:
            return True
        await asyncio.sleep(_POLL_SECONDS)
    return False


def _not_sold(evidence: Evidence, traders: list[Trader]) -> Iterator[Violation]:
    """Every account has bought once and sold the same once."""
    for trader in traders:
        fills = [entry for entry in evidence.log if entry["action"] == "fill" and entry["account"] == trader.api_key]
        sold = sum(entry["quantity"] for entry in fills if entry["side"] == "SELL")
        if sold != QUANTITY:
            yield Violation("not sold exactly once", trader.api_key, f"{sold} of {QUANTITY} sold")


def _times(evidence: Evidence, states: Mapping[str, str], killed_at: float, restarted_at: float) -> Mapping[str, list[float]]:
    last_sale = {entry["account"]: entry["at_ns"] / SECOND_NS for entry in evidence.log if _is_sale(entry)}
    found: dict[str, list[float]] = {}
    for account, state in states.items():
        if account in last_sale and last_sale[account] > killed_at:
            found.setdefault(state, []).append(last_sale[account] - restarted_at)
    return found


def _is_sale(entry: Entry) -> bool:
    return bool(entry["action"] == "fill" and entry["side"] == "SELL")


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counter.items()))
