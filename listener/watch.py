"""What has to be watched, kept in step with Postgres: by messages at once, and in full every few seconds."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from redis.asyncio import Redis
from sqlalchemy.exc import SQLAlchemyError

from cache.channels import ArmedStop, Disarmed, listen_armed, listen_runs_changed
from cache.connection import CacheUnavailable
from listener.complaints import Complaints
from listener.crossings import Crossings
from listener.intake import Intake
from listener.signals import Signals
from listener.triggers import SMALLEST_TICK, Crossing, WatchedStop
from listener.wanted import Wanted
from storage.database import Database
from storage.repositories.stops import PAGE_SIZE, OpenRun, open_runs_page, waiting_instruments
from trading.accounts import BrokerName
from trading.instruments import InstrumentId
from trading.ports.clock import Clock
from trading.ports.metrics import Metrics
from trading.runs import ExitReason, RunState
from trading.sessions import trading_date

COMPARE_SECONDS = 2.0
# How old the list of instruments may be that are bought later today.
WAITING_SECONDS = 5.0
# With very many runs a full read takes a while; the rest after it is at least this many times as long.
REST_FACTOR = 4
RECONNECT_SECONDS = 0.5
# Runs that buy this soon have their symbols subscribed, so that there is a price when they do.
SOON = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Followers:
    """Those who act on what the watch finds."""

    intake: Intake
    crossings: Crossings
    signals: Signals
    wanted: Wanted


class Sessions(Protocol):
    """What the watch asks about an instrument."""

    def session_opens(self, instrument: InstrumentId, day: date) -> datetime | None:
        """When its session of that day begins; None when nobody knows."""

    def tick_size(self, instrument: InstrumentId) -> Decimal | None:
        """Rupees; None when nobody knows."""


class Watch:
    """`paper_carrier()`: the broker whose feed carries what paper accounts trade."""

    def __init__(
        self,
        database: Database,
        redis: Redis,
        followers: Followers,
        *,
        market: Sessions,
        paper_carrier: Callable[[], BrokerName | None] = lambda: None,
        clock: Clock,
        metrics: Metrics,
        complaints: Complaints,
    ) -> None:
        self._database = database
        self._redis = redis
        self._intake = followers.intake
        self._crossings = followers.crossings
        self._signals = followers.signals
        self._wanted = followers.wanted
        self._market = market
        self._paper_carrier = paper_carrier
        self._clock = clock
        self._metrics = metrics
        self._complaints = complaints
        self._nudged = asyncio.Event()
        # What today's runs will buy later, as it was read at that monotonic second.
        self._waiting: list[tuple[BrokerName, InstrumentId]] = []
        self._waiting_read_at = float("-inf")
        # Monotonic seconds of the last full compare; None before the first.
        self.compared_at: float | None = None

    async def compare_for_ever(self) -> None:
        while True:
            await self._crossings.let_desks_go_first()
            self._nudged.clear()
            began_at = self._clock.monotonic()
            try:
                await self.compare()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                self._complaints.about("stops_cannot_be_read", error=type(error).__name__)
            else:
                self._complaints.over("stops_cannot_be_read")
            await self._rest(self._clock.monotonic() - began_at)

    async def _rest(self, took: float) -> None:
        """Until the next round is due or somebody asks for it, and never shorter than the last one took: many who ask at once
        get one round, and ticks get the processor in between."""
        await asyncio.sleep(took)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(COMPARE_SECONDS, REST_FACTOR * took)):
                await self._nudged.wait()

    async def compare(self) -> None:
        """One full look at Postgres; everything known is made to agree with it."""
        mark = self._intake.triggers.mark()
        runs, waiting = await self._read(), await self._read_waiting()
        self._follow_stops(runs, mark)
        self._wanted.replace(_instruments_by_broker(runs, waiting, paper_carrier=self._paper_carrier()))
        self._follow_fired(runs)
        self._metrics.gauge("stops_armed", self._intake.triggers.count)
        self.compared_at = self._clock.monotonic()

    async def _read(self) -> list[OpenRun]:
        now = self._clock.now()
        runs: list[OpenRun] = []
        after = ""
        while True:
            async with self._database.transaction() as session:
                page = await open_runs_page(session, after=after, today=trading_date(now), soon=now + SOON)
            runs += page
            if len(page) < PAGE_SIZE:
                return runs
            after = page[-1].run_id

    async def _read_waiting(self) -> list[tuple[BrokerName, InstrumentId]]:
        """Instruments only: ten thousand runs may wait for an afternoon, and none of them has a stop. Not read each time somebody
        starts one more."""
        if self._clock.monotonic() >= self._waiting_read_at + WAITING_SECONDS:
            async with self._database.transaction() as session:
                self._waiting = await waiting_instruments(session, today=trading_date(self._clock.now()))
            self._waiting_read_at = self._clock.monotonic()
        return self._waiting

    def _follow_stops(self, runs: Sequence[OpenRun], mark: int) -> None:
        armed = [stop for run in runs if (stop := self._stop_of(run)) is not None]
        new = self._intake.triggers.replace_all(armed, open_runs={run.run_id for run in runs}, mark=mark)
        self._intake.compare(new)

    def _stop_of(self, run: OpenRun) -> WatchedStop | None:
        row = run.exit
        if row is None or not row.is_watched or row.stop_price is None:
            return None
        known = self._intake.triggers.watched(run.run_id)
        if known is not None and known.version == row.stop_version:
            return known
        return WatchedStop(
            run.run_id,
            run.account_id,
            run.instrument,
            row.stop_price,
            row.stop_version,
            row.armed_at,
            session_opens=self._market.session_opens(run.instrument, run.trading_day),
            target=row.target_price,
            trail=run.trail,
            highest=run.highest_price,
            tick_size=self._market.tick_size(run.instrument) or SMALLEST_TICK,
        )

    def _follow_fired(self, runs: Sequence[OpenRun]) -> None:
        """Repair what was lost: crossings nobody has acted on, stops whose signal never left, in this process or before it."""
        fired = self._intake.triggers.fired()
        by_id = {run.run_id: run for run in runs}
        self._crossings.repeat([crossing for run_id, crossing in fired.items() if _is_unanswered(by_id.get(run_id), crossing)])
        self._crossings.keep_only({crossing.trigger_id for crossing in fired.values()})
        self._signals.know_workflows({run.run_id: run.workflow_id for run in runs})
        self._signals.add([crossing for run in runs if (crossing := _stopped(run)) is not None], head_start=False)
        self._signals.keep_only(by_id)
        for run_id in self._signals.runs():
            if by_id[run_id].state is not RunState.LEAVING:
                self._signals.repeat(run_id)

    async def follow_armed(self) -> None:
        """Stops as the desks arm them, a moment after they are committed."""
        await self._listen("armed_channel_unavailable", self._hear_armed)

    async def follow_runs(self) -> None:
        """Runs as they begin and end."""
        await self._listen("runs_channel_unavailable", self._hear_runs)

    async def _listen(self, trouble: str, hear: Callable[[], Awaitable[None]]) -> None:
        """While Redis is away the full compare does the same, later."""
        while True:
            try:
                await hear()
            except CacheUnavailable as error:
                self._complaints.about(trouble, error=str(error))
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _hear_armed(self) -> None:
        async with listen_armed(self._redis) as batches:
            self._complaints.over("armed_channel_unavailable")
            self._nudged.set()
            async for batch in batches:
                self.hear(batch)

    async def _hear_runs(self) -> None:
        async with listen_runs_changed(self._redis) as changes:
            self._complaints.over("runs_channel_unavailable")
            async for _ in changes:
                self._nudged.set()

    def hear(self, batch: Iterable[ArmedStop | Disarmed]) -> None:
        for change in batch:
            if isinstance(change, Disarmed):
                self._intake.triggers.disarm(change.run_id)
                continue
            stop = WatchedStop(
                change.run_id,
                change.account_id,
                change.instrument,
                change.stop_price,
                change.stop_version,
                change.armed_at,
                session_opens=self._market.session_opens(change.instrument, trading_date(self._clock.now())),
                target=change.target,
                trail=change.trail,
                highest=change.highest,
                tick_size=self._market.tick_size(change.instrument) or SMALLEST_TICK,
            )
            self._intake.arm(stop)


def _instruments_by_broker(
    runs: Sequence[OpenRun], waiting: Sequence[tuple[BrokerName, InstrumentId]], *, paper_carrier: BrokerName | None
) -> dict[BrokerName, list[InstrumentId]]:
    """Those with a stop first, those of the afternoon last: if a feed cannot carry all, it carries the first."""
    by_need = sorted(runs, key=lambda run: run.exit is None)
    wanted: dict[BrokerName, list[InstrumentId]] = {}
    for broker, instrument in [*((run.broker, run.instrument) for run in by_need), *waiting]:
        carrier = paper_carrier if broker is BrokerName.PAPER else broker
        if carrier is not None:
            wanted.setdefault(carrier, []).append(instrument)
    return wanted


def _is_unanswered(run: OpenRun | None, crossing: Crossing) -> bool:
    """The exit stands there, armed or resting at the broker, with the stop that was crossed."""
    if run is None or run.exit is None:
        return False
    return run.exit.is_watched and run.exit.stop_version == crossing.stop.version


def _stopped(run: OpenRun) -> Crossing | None:
    """The run's exit left because of its stop or its target: its workflow has to hear of it. This is all a restarted listener
    knows of a crossing it told the desks about before it was killed."""
    row = run.exit
    if row is None or row.is_watched or row.reason not in (ExitReason.STOP_LOSS, ExitReason.TARGET):
        return None
    if row.trigger_price is None or row.wanted_at is None or row.stop_price is None:
        return None
    stop = WatchedStop(run.run_id, run.account_id, run.instrument, row.stop_price, row.stop_version, row.armed_at)
    return Crossing(stop, row.trigger_price, row.wanted_at, row.reason)
