"""What can be traded, in memory: filled from the `instruments` table, which is filled from the brokers' public masters.

Only rows that some broker's newest list names count. An instrument that has left all of them can no longer be found, and a token
that a broker has given to another instrument means the new one.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import Row

from brokers.instrument_tokens import InstrumentTokens
from storage.database import Database
from storage.repositories import instruments as repository
from trading.accounts import BrokerName
from trading.instruments import Instrument, InstrumentId, Segment
from trading.ports.broker import InstrumentMaster, ListedInstrument
from trading.ports.clock import Clock
from trading.sessions import trading_date

log = structlog.get_logger()


class InstrumentsNotLoaded(Exception):
    """No broker's list has been loaded yet: nothing can be said about any symbol."""


class InstrumentDirectory:
    """Look-ups that never wait. `refresh` reads the table when a newer list was loaded, and swaps the content at once."""

    def __init__(self, database: Database, *, tokens_of: Callable[[BrokerName], InstrumentTokens] | None = None) -> None:
        """`tokens_of` yields the objects the adapters look tokens up in; they are brought up to date with every refresh."""
        self._database = database
        self._instruments: dict[InstrumentId, Instrument] = {}
        self._own_tokens: dict[BrokerName, InstrumentTokens] = {}
        self.tokens = tokens_of or self._own
        self._newest: repository.NewestLoad | None = None

    def find(self, instrument: InstrumentId) -> Instrument | None:
        """The instrument, or None when it is not listed. Raises InstrumentsNotLoaded while nothing is loaded at all."""
        if not self._instruments:
            raise InstrumentsNotLoaded("no instrument list has been loaded yet")
        return self._instruments.get(instrument)

    def token(self, broker: BrokerName, instrument: InstrumentId) -> str | None:
        return self.tokens(broker).token_of(instrument)

    def instrument_of(self, broker: BrokerName, token: str) -> InstrumentId | None:
        return self.tokens(broker).instrument_of(token)

    def _own(self, broker: BrokerName) -> InstrumentTokens:
        return self._own_tokens.setdefault(broker, InstrumentTokens())

    def all(self) -> Iterable[Instrument]:
        return self._instruments.values()

    @property
    def count(self) -> int:
        return len(self._instruments)

    @property
    def listed_on(self) -> date | None:
        """The exchange date of the list in memory."""
        return None if self._newest is None else self._newest.listed_on

    async def refresh(self) -> bool:
        """Read the table if a newer list was loaded since the last time; whether the content changed."""
        async with self._database.transaction() as session:
            newest = await repository.newest_load(session)
            if newest is None or newest == self._newest:
                return False
            reader = _Reader()
            async for rows in repository.listed_rows(session):
                reader.read(rows)
        self._instruments = reader.instruments
        for broker in BrokerName:
            self.tokens(broker).replace(reader.listed.get(broker, ()))
        self._newest = newest
        log.info("instruments_in_memory", count=self.count, listed_on=str(self.listed_on))
        return True


class _Reader:
    """Builds the directory's content. Equal values are shared: a hundred thousand rows have a handful of tick sizes."""

    def __init__(self) -> None:
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.listed: dict[BrokerName, list[ListedInstrument]] = {}
        self._shared: dict[Decimal, Decimal] = {}

    def read(self, rows: list[Row[Any]]) -> None:
        for row in rows:
            key = InstrumentId(row.exchange, row.symbol)
            instrument = self._instrument(key, row)
            self.instruments[key] = instrument
            for name, token in row.broker_tokens.items():
                self.listed.setdefault(BrokerName(name), []).append(ListedInstrument(instrument, token))

    def _instrument(self, key: InstrumentId, row: Row[Any]) -> Instrument:
        return Instrument(
            id=key,
            name=row.name,
            segment=Segment(row.segment),
            tick_size=self._shared.setdefault(row.tick_size, row.tick_size),
            lot_size=row.lot_size,
            freeze_quantity=row.freeze_quantity,
            has_derivatives=row.has_derivatives,
            lower_circuit=row.lower_circuit,
            upper_circuit=row.upper_circuit,
        )


async def load_master(database: Database, master: InstrumentMaster, *, clock: Clock) -> int:
    """Read a broker's public list and store it as today's; how many instruments it has.

    Raises BrokerError when the list cannot be read, and ValueError for an empty one: an empty answer is a failed read.
    """
    listed = await master.instruments()
    if not listed:
        raise ValueError(f"{master.name.value} sent an empty instrument list")
    await store_list(database, master.name, listed, now=clock.now())
    log.info("instruments_loaded", broker=master.name.value, count=len(listed))
    return len(listed)


async def store_list(database: Database, broker: BrokerName, listed: tuple[ListedInstrument, ...], *, now: datetime) -> None:
    """Store a list as the newest one, in one transaction: readers see the old list or the new one."""
    async with database.transaction() as session:
        await repository.store(session, broker=broker, listed=listed, listed_on=trading_date(now), now=now)
