"""Compares this machine's clock with the database's, the brokers' and its time service's; raises an alarm when it is shown wrong.

A broker's `Date` header has whole seconds, so that one answer proves little; the answers of two minutes, which fall on all parts
of a second, together prove an error of a tenth.
"""

import asyncio
import email.utils
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from brokers.answers import StatedTime
from execution.alarms import Alarm, clear_alarm, raise_alarm
from runtime.kernel_clock import KernelClock, read_kernel_clock
from runtime.lasting import Lasting
from storage.database import Database
from trading.clock_error import Bounds, bounds_of, narrowed
from trading.ports.clock import Clock

_log = structlog.get_logger()

TOLERANCE = timedelta(milliseconds=100)
LOOK_SECONDS = 5.0
LASTING_SECONDS = 30.0
# What is older says little about today's clock.
WINDOW = timedelta(minutes=2)
HEADER_RESOLUTION = timedelta(seconds=1)
DATABASE = "the database"
TIME_SERVICE = "the time service"


@dataclass(frozen=True, slots=True)
class ClockError:
    """The largest error that is proven, and against whom. Zero: no clock contradicts ours."""

    proven: timedelta
    against: str = ""
    is_ahead: bool = False

    @property
    def is_wrong(self) -> bool:
        return self.proven > TOLERANCE

    @property
    def words(self) -> str:
        if not self.against:
            return ""
        return f"at least {self.proven.total_seconds() * 1000:.0f} ms {'ahead of' if self.is_ahead else 'behind'} {self.against}"


class ClockWatch:
    """`kind`: of the process, in the alarm's key beside the machine's name. `stated`: times that brokers' servers have stated."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        kind: str,
        stated: Iterable[StatedTime],
        read_kernel: Callable[[], KernelClock | None] = read_kernel_clock,
    ) -> None:
        self._database = database
        self._clock = clock
        self._stated = stated
        self._read_kernel = read_kernel
        self._where = f"{kind} on {socket.gethostname()}"
        self._key = f"clock-off:{kind}:{socket.gethostname()}"
        self._lasting = Lasting()
        self._up: bool | None = None
        self.newest = ClockError(timedelta(0))

    def complaint(self) -> str:
        """How wrong the clock is now, in words; empty while it is right."""
        return self.newest.words if self.newest.is_wrong else ""

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.look()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                _log.info("clock_watch_waits", error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 (supervised loop: a header nobody foresaw must not end the watch)
                _log.error("clock_watch_broken", error=repr(error), exc_info=True)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """One comparison; raises what the database raises."""
        against = {
            DATABASE: await self._database_bounds(),
            **kernel_bounds(self._read_kernel()),
            **broker_bounds(self._stated, now=self._clock.now()),
        }
        worst = max(against, key=lambda name: against[name].proven)
        bounds = against[worst]
        self.newest = ClockError(bounds.proven, worst if bounds.proven else "", bounds.is_ahead)
        wrong = self._lasting.has_lasted(
            self._key, wrong=self.newest.is_wrong, seconds=LASTING_SECONDS, now=self._clock.monotonic()
        )
        if wrong is None or wrong is self._up:
            return
        async with self._database.transaction() as session:
            if wrong:
                message = f"The clock of the {self._where} is {self.newest.words}"
                await raise_alarm(session, Alarm(self._key, "clock_off", message))
            else:
                await clear_alarm(session, self._key)
        self._up = wrong

    async def _database_bounds(self) -> Bounds:
        async with self._database.transaction() as session:
            # The connection is there by now: what is measured is the question alone.
            await session.execute(select(1))
            asked_at = self._clock.now()
            theirs: datetime = (await session.scalars(select(func.clock_timestamp()))).one()
            return bounds_of(theirs, asked_at=asked_at, answered_at=self._clock.now())


def kernel_bounds(kernel: KernelClock | None) -> dict[str, Bounds]:
    """A clock that no time service keeps is not wrong for that: nothing is said."""
    if kernel is None or not kernel.is_synchronised:
        return {}
    # What is still to be added to the clock is what it is behind by.
    return {TIME_SERVICE: Bounds(-kernel.offset, -kernel.offset)}


def broker_bounds(stated: Iterable[StatedTime], *, now: datetime) -> dict[str, Bounds]:
    """By server, from the answers of the last minutes; without the servers whose answers say nothing."""
    listed: dict[str, list[Bounds]] = {}
    for one in sorted(stated, key=lambda one: one.answered_at, reverse=True):
        at = _read_date(one.date)
        if at is not None and now - one.answered_at <= WINDOW:
            found = bounds_of(at, asked_at=one.asked_at, answered_at=one.answered_at, resolution=HEADER_RESOLUTION)
            listed.setdefault(one.server, []).append(found)
    together = {server: narrowed(bounds) for server, bounds in listed.items()}
    return {server: bounds for server, bounds in together.items() if bounds is not None}


def _read_date(header: str) -> datetime | None:
    try:
        at = email.utils.parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
