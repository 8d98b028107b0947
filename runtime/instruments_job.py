"""Keeps the instrument list current: loads brokers' masters at boot and every morning, follows what other processes load."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from runtime.instruments import InstrumentDirectory, load_master
from storage.database import Database
from storage.repositories import instruments as repository
from trading.accounts import BrokerName
from trading.ports.broker import BrokerError, InstrumentMaster
from trading.ports.clock import Clock
from trading.sessions import INDIA

log = structlog.get_logger()

# Brokers publish the day's list around 08:30 Indian time.
LOAD_AT = time(8, 35)
# A list that another process stored this recently is not loaded again at boot.
FRESH = timedelta(seconds=60)
# One small row is asked for so often: on a fresh platform lists come one after another, and until a process has that of an
# order's broker the order waits.
FOLLOW_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0


@dataclass(slots=True)
class LoadReport:
    """What readiness shows: why a broker's list could not be loaded; empty when nothing is wrong."""

    failures: dict[BrokerName, str] = field(default_factory=dict)


class InstrumentJob:
    """Run `run()` as a task of the process. Without masters it only follows what others load."""

    def __init__(
        self, database: Database, directory: InstrumentDirectory, *, masters: Sequence[InstrumentMaster], clock: Clock
    ) -> None:
        self._database = database
        self._directory = directory
        self._masters = tuple(masters)
        self._clock = clock
        self._started_at = clock.now()
        self.report = LoadReport()

    async def run(self) -> None:
        """Never ends by itself; a database or a broker that is away is tried again."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            failed = not await self._try_step()
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS) if failed else FIRST_PAUSE_SECONDS
            await asyncio.sleep(FOLLOW_SECONDS if self._directory.count and not failed else pause)

    async def _try_step(self) -> bool:
        try:
            await self.step()
        except (SQLAlchemyError, OSError) as error:
            log.warning("instruments_wait_for_database", error=str(error)[:300])
            return False
        return not self.report.failures

    async def step(self) -> None:
        """Load what is due, then read what is new."""
        async with self._database.transaction() as session:
            newest = await repository.newest_load(session)
        loads = newest.by_broker if newest else {}
        for master in self._masters:
            due = is_due(loads.get(master.name.value), now=self._clock.now(), boot=self._started_at)
            if due or master.name in self.report.failures:
                await self._load(master)
        await self._directory.refresh()

    async def _load(self, master: InstrumentMaster) -> None:
        try:
            await load_master(self._database, master, clock=self._clock)
        except (BrokerError, ValueError) as error:
            self.report.failures[master.name] = str(error)
            log.warning("instruments_not_loaded", broker=master.name.value, error=str(error))
        else:
            self.report.failures.pop(master.name, None)


def is_due(loaded_at: datetime | None, *, now: datetime, boot: datetime) -> bool:
    """Whether a list has to be loaded: never done, not since this process started, or not since this morning."""
    if loaded_at is None or loaded_at < boot - FRESH:
        return True
    return loaded_at < last_morning(now)


def last_morning(now: datetime) -> datetime:
    """The newest 08:35 that has passed."""
    local = now.astimezone(INDIA)
    morning = datetime.combine(local.date(), LOAD_AT, tzinfo=INDIA)
    return morning if morning <= local else morning - timedelta(days=1)
