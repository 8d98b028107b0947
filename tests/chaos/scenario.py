"""One chaos run: the platform comes up, people trade, the monkey disturbs, all calms down, and the evidence is collected."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.chaos.calls import Caller, NoAnswer, NotGranted
from tests.chaos.disturb import Disturber
from tests.chaos.evidence import Evidence, collect
from tests.chaos.judge import Verdict, judge
from tests.chaos.ledger import Ledger
from tests.chaos.market import Market
from tests.chaos.monkey import timetable
from tests.chaos.people import http_session, platform_is_ready, sign_up_all
from tests.chaos.stack import Stack, running_stack
from tests.chaos.traders import Tally, Trader
from tests.chaos.watch import Watch
from trading.accounts import BrokerName

# Short times, so that a short run sees many endings. An accepted order may appear this late in the book, and no later:
# below what proves an order absent, which is send_by (2 s) + the HTTP timeout + the settle time.
SETTINGS: Mapping[str, str] = {
    "BROKER_TIMEOUT_SECONDS": "2",
    "SETTLE_TIME_SECONDS": "1.5",
    "ENTRY_LEAD_SECONDS": "1",
    "ENTRY_JITTER_SECONDS": "2",
    "ENTRY_DEADLINE_SECONDS": "12",
    "ACCESS_TOKEN_MINUTES": "600",
    "LOGIN_ATTEMPTS_PER_MINUTE": "100000",
    "RATE_LIMIT_PER_MINUTE": "100000",
    "LOG_LEVEL": "warning",
}
LATEST_MS = 3000
# Everything must have ended this long after the last disturbance: exits that wait for a refusal's pause take the longest.
SETTLE_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run is made of."""

    seed: int
    seconds: float
    accounts: int
    strategies: int  # at once, per account
    workers: int
    state: Path
    brokers: tuple[BrokerName, ...] = (BrokerName.ZERODHA,)  # the accounts are spread over them


@dataclass(slots=True)
class Progress:
    """What the screen shows while it runs."""

    plan: Plan
    phase: str = "starting the platform"
    ends_at: float | None = None  # monotonic
    tally: Tally = field(default_factory=Tally)
    watch: Watch | None = None
    disturber: Disturber | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    ledger: Ledger
    evidence: Evidence
    verdict: Verdict


async def run(plan: Plan, progress: Progress) -> Outcome:
    """From nothing to a verdict. Raises StackFailed."""
    async with running_stack(plan.state, workers=plan.workers, settings=SETTINGS) as stack, http_session() as http:
        control = Caller(http, f"{stack.control_url}/control")
        market = Market(control, random.Random(f"market:{plan.seed}"))
        await market.publish()
        watch = progress.watch = Watch(stack.sockets)
        disturber = progress.disturber = Disturber(stack, control, watch.unmanaged)
        traders = [_trader(number, plan, stack, http, control, market, progress.tally) for number in range(plan.accounts)]
        async with _background(market.run, watch.run):
            progress.phase = "signing up"
            await platform_is_ready(Caller(http, f"{stack.api_url}/api/v1"))
            await sign_up_all(traders)
            progress.phase, progress.ends_at = "chaos", time.monotonic() + plan.seconds
            await _trade(plan, stack, traders, disturber)
            progress.phase, progress.ends_at = "settling", time.monotonic() + SETTLE_SECONDS
            settled_in = await _settle(traders, control)
        ledger = Ledger(
            seed=plan.seed,
            seconds=plan.seconds,
            accounts=plan.accounts,
            killed=disturber.killed,
            paused=disturber.paused,
            faults=disturber.faults,
            deeds=progress.tally.deeds,
            longest_unmanaged=watch.unmanaged.longest(time.monotonic()),
            settled_in=settled_in,
        )
        api_keys = {trader.broker_id: trader.api_key for trader in traders}
        evidence = await collect(stack.exchange_log, stack.sockets, api_keys=api_keys)
    progress.phase = "judging"
    return Outcome(ledger, evidence, judge(evidence))


@asynccontextmanager
async def _background(*jobs: Callable[[], "asyncio.Future[None] | object"]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(job()) for job in jobs]  # type: ignore[arg-type]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _trader(
    number: int, plan: Plan, stack: Stack, http: aiohttp.ClientSession, control: Caller, market: Market, tally: Tally
) -> Trader:
    return Trader(
        name=f"trader{number}",
        api=Caller(http, f"{stack.api_url}/api/v1"),
        control=control,
        market=market,
        rng=random.Random(f"trader:{plan.seed}:{number}"),
        tally=tally,
        strategies=plan.strategies,
        broker=plan.brokers[number % len(plan.brokers)],
    )


async def _trade(plan: Plan, stack: Stack, traders: list[Trader], disturber: Disturber) -> None:
    parts = sorted({name for name in stack.restarts() if not name.startswith(("simulator", "migrations"))})
    disturbances = timetable(
        plan.seed,
        seconds=plan.seconds,
        parts=parts,
        accounts=[trader.api_key for trader in traders if trader.is_at_a_broker],
        latest_ms=LATEST_MS,
    )
    trading = [asyncio.create_task(trader.trade()) for trader in traders]
    ends = time.monotonic() + plan.seconds
    await disturber.run(disturbances)
    await asyncio.sleep(max(0.0, ends - time.monotonic()))
    for trader in traders:
        trader.closing = True
    await asyncio.gather(*trading)


async def _settle(traders: list[Trader], control: Caller) -> float | None:
    """No more disturbances: everybody stops everything. Seconds until all runs had ended; None: not all did."""
    began = time.monotonic()
    await control("DELETE", "/faults")
    await asyncio.gather(*(trader.let_orders_trade() for trader in traders))
    await asyncio.gather(*(trader.close_all() for trader in traders))
    while time.monotonic() < began + SETTLE_SECONDS:
        try:
            if not any(await asyncio.gather(*(trader.still_open() for trader in traders))):
                return time.monotonic() - began
        except (NoAnswer, NotGranted):
            pass
        await asyncio.sleep(2)
    return None
