"""The day's circuit limits of what we trade: an order priced outside them is refused, and a stop is hit most often near one.

Brokers' lists do not name them and they move during the day, so they are read with a quote: about once a minute for everything
that is armed or working, and at once when a broker refuses an order. Without a reading an order is priced by its band alone.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Protocol

import structlog

from trading.accounts import Environment
from trading.instruments import Instrument, InstrumentId, PriceLimits
from trading.ports.broker import Broker, BrokerError
from trading.ports.clock import Clock
from trading.sessions import trading_date

_log = structlog.get_logger()

READ_AGAIN_AFTER = 60.0
# A read that failed is tried again after this; one that is wanted at once is made at once all the same.
RETRY_AFTER = 5.0
READ_SECONDS = 3.0


class Instruments(Protocol):
    def find(self, instrument: InstrumentId) -> Instrument | None: ...


@dataclass(slots=True)
class _Reading:
    due_at: float  # monotonic seconds
    day: date | None = None
    limits: PriceLimits = field(default_factory=PriceLimits)

    @property
    def turn(self) -> tuple[bool, float]:
        return self.day is not None, self.due_at


class DayLimits:
    """Per environment: the limits at a stand-in exchange say nothing about the real one."""

    def __init__(self, instruments: Instruments, clock: Clock) -> None:
        self._instruments = instruments
        self._clock = clock
        self._readings: dict[tuple[Environment, InstrumentId], _Reading] = {}
        self._wanted_at_once = asyncio.Event()

    def find(self, instrument: InstrumentId, environment: Environment) -> Instrument | None:
        """The instrument with today's limits as far as they are known; None when nobody knows it."""
        found = self._instruments.find(instrument)
        reading = self._readings.get((environment, instrument))
        if found is None or reading is None or reading.day != trading_date(self._clock.now()):
            return found
        return replace(found, lower_circuit=reading.limits.lower, upper_circuit=reading.limits.upper)

    def read_soon(self, instrument: InstrumentId, environment: Environment) -> None:
        """A price was refused: the limits may have moved."""
        self._readings[environment, instrument] = replace(self._reading(environment, instrument), due_at=0.0)
        self._wanted_at_once.set()

    async def until_wanted(self, seconds: float) -> None:
        """Wait that long, or until somebody cannot wait."""
        try:
            async with asyncio.timeout(seconds):
                await self._wanted_at_once.wait()
        except TimeoutError:
            return
        self._wanted_at_once.clear()

    async def keep_fresh(self, wanted: Iterable[InstrumentId], broker: Broker) -> None:
        """Read those that are due, those never read first: a broker may answer for some of them only. A read that fails changes
        nothing."""
        now = self._clock.monotonic()
        waiting = {instrument: self._reading(broker.environment, instrument) for instrument in wanted}
        due = sorted((each for each, reading in waiting.items() if reading.due_at <= now), key=lambda each: waiting[each].turn)
        if not due:
            return
        for instrument in due:
            self._readings[broker.environment, instrument].due_at = now + RETRY_AFTER
        try:
            async with asyncio.timeout(READ_SECONDS):
                read = await broker.price_limits(due)
        except (BrokerError, TimeoutError) as error:
            _log.warning("no_price_limits", instruments=len(due), error=str(error))
            return
        day = trading_date(self._clock.now())
        for instrument, limits in read.items():
            self._readings[broker.environment, instrument] = _Reading(now + READ_AGAIN_AFTER, day, limits)

    def forget_others(self, wanted: set[tuple[Environment, InstrumentId]]) -> None:
        """What nobody trades any more is not remembered."""
        self._readings = {key: reading for key, reading in self._readings.items() if key in wanted}

    def _reading(self, environment: Environment, instrument: InstrumentId) -> _Reading:
        return self._readings.setdefault((environment, instrument), _Reading(due_at=0.0))
