"""What one process of all does for the others, off every path: it chains the audit log and removes what was kept long enough."""

from datetime import timedelta

import structlog

from runtime.rounds import rounds_for_ever
from storage.database import Database
from storage.repositories import audit_chain, measurements, platform_log
from trading.ports.clock import Clock

_log = structlog.get_logger()

ROUND_SECONDS = 2.0
# Who hangs is followed by another after this long. Two that seal at once do it one after the other.
SILENCE_SECONDS = 30.0
CLEAN_SECONDS = 300.0
KEEP_MEASUREMENTS = timedelta(days=14)
KEEP_LOG = timedelta(days=30)
# Any constant nobody else uses (tests/architecture/test_advisory_locks.py).
_UPKEEP_LOCK = 7_203_114_580


class Upkeep:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._cleaned_at = float("-inf")

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
        """Seal what was written; now and then, clean."""
        if await audit_chain.seal_all(self._database):
            async with self._database.transaction() as session:
                head = await audit_chain.read_head(session)
            # The head in a log kept elsewhere is what even somebody who owns the database cannot change.
            _log.info("audit_log_sealed", sequence=head.sequence, hash=head.hash)
        if self._clock.monotonic() - self._cleaned_at >= CLEAN_SECONDS:
            await self._clean()
            self._cleaned_at = self._clock.monotonic()

    async def _clean(self) -> None:
        now = self._clock.now()
        async with self._database.unhurried() as session:
            samples = await measurements.forget(session, before=now - KEEP_MEASUREMENTS)
        async with self._database.unhurried() as session:
            lines = await platform_log.forget(session, before=now - KEEP_LOG)
        if samples or lines:
            _log.info("old_records_removed", samples=samples, log_lines=lines)
