"""A broker's own keys for instruments, both ways. Replaced as a whole every day: brokers reuse keys of expired contracts."""

from collections.abc import Iterable
from decimal import Decimal

from trading.instruments import InstrumentId
from trading.ports.broker import ListedInstrument


class InstrumentTokens:
    def __init__(self, listed: Iterable[ListedInstrument] = ()) -> None:
        self._token_of: dict[InstrumentId, str] = {}
        self._instrument_of: dict[str, InstrumentId] = {}
        self._tick_of: dict[InstrumentId, Decimal] = {}
        self.replace(listed)

    def replace(self, listed: Iterable[ListedInstrument]) -> None:
        """Forget everything known and learn this list."""
        listed = list(listed)
        pairs = [(entry.instrument.id, entry.token) for entry in listed]
        self._token_of = dict(pairs)
        self._instrument_of = {token: instrument for instrument, token in pairs}
        self._tick_of = {entry.instrument.id: entry.instrument.tick_size for entry in listed}

    def token_of(self, instrument: InstrumentId) -> str | None:
        return self._token_of.get(instrument)

    def instrument_of(self, token: str) -> InstrumentId | None:
        return self._instrument_of.get(token)

    def tick_of(self, instrument: InstrumentId) -> Decimal | None:
        """Rupees."""
        return self._tick_of.get(instrument)

    def __len__(self) -> int:
        return len(self._token_of)
