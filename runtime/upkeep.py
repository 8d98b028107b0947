"""What one process of all does for the others, off every path: it chains the audit log, checks the chain, and removes what was
kept long enough."""

from datetime import timedelta

import structlog

from execution.alarms import Alarm, clear_alarm, raise_alarm
from runtime.rounds import rounds_for_ever
from storage.database import Database
from storage.repositories import audit_chain, measurements, platform_log
from trading.ports.clock import Clock

_log = structlog.get_logger()

ROUND_SECONDS = 2.0
# Who hangs is followed by another after this long. Two that seal at once do it one after the other.
SILENCE_SECONDS = 30.0
CLEAN_SECONDS = 300.0
# The whole log is read for it.
CHECK_SECONDS = 3600.0
BROKEN_CHAIN = "audit_log_broken"
KEEP_MEASUREMENTS = timedelta(days=14)
KEEP_LOG = timedelta(days=30)
# Any constant nobody else uses (tests/architecture/test_advisory_locks.py).
_UPKEEP_LOCK = 7_203_114_580


class Upkeep:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._cleaned_at = float("-inf")
        self._checked_at = float("-inf")
        # The end of the chain when this process last found it whole: a chain that was made anew is another one.
        self._noted: audit_chain.Head | None = None

    async def run(self) -> None:
        """For ever."""
        await rounds_for_ever(
            self._database,
            _UPKEEP_LOCK,
            self.round,
            name="upkeep",
            pause_seconds=ROUND_SECONDS,
            silence_seconds=SILENCE_SECONDS,
        )

    async def round(self) -> None:
        """Seal what was written; now and then, clean and check."""
        if await audit_chain.seal_all(self._database):
            async with self._database.transaction() as session:
                head = await audit_chain.read_head(session)
            # The head in a log kept elsewhere is what even somebody who owns the database cannot change.
            _log.info("audit_log_sealed", sequence=head.sequence, hash=head.hash)
        if self._clock.monotonic() - self._cleaned_at >= CLEAN_SECONDS:
            await self._clean()
            self._cleaned_at = self._clock.monotonic()
        if self._clock.monotonic() - self._checked_at >= CHECK_SECONDS:
            await self._check()
            self._checked_at = self._clock.monotonic()

    async def _check(self) -> None:
        chain = await audit_chain.check(self._database, noted=self._noted)
        async with self._database.transaction() as session:
            if chain.broken_at is None:
                self._noted = chain.head
                await clear_alarm(session, BROKEN_CHAIN)
                return
            message = f"At entry {chain.broken_at}: {chain.why}"
            if await raise_alarm(session, Alarm(BROKEN_CHAIN, BROKEN_CHAIN, message)):
                _log.error("audit_log_broken", sequence=chain.broken_at, why=chain.why)

    async def _clean(self) -> None:
        now = self._clock.now()
        async with self._database.unhurried() as session:
            samples = await measurements.forget(session, before=now - KEEP_MEASUREMENTS)
        async with self._database.unhurried() as session:
            lines = await platform_log.forget(session, before=now - KEEP_LOG)
        if samples or lines:
            _log.info("old_records_removed", samples=samples, log_lines=lines)
