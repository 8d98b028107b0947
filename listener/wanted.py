"""Which instruments each broker's feed shall carry: those of open runs, the ones with a stop to watch first."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from trading.accounts import BrokerName
from trading.instruments import InstrumentId


class Wanted:
    """Told by the watch, followed by the feeds."""

    def __init__(self) -> None:
        self._instruments: dict[BrokerName, tuple[InstrumentId, ...]] = {}
        self._changed = asyncio.Event()
        self.version = 0

    def replace(self, instruments: Mapping[BrokerName, Iterable[InstrumentId]]) -> None:
        """What a full read found, most important first."""
        now = {broker: tuple(dict.fromkeys(wanted)) for broker, wanted in instruments.items()}
        if now != self._instruments:
            self._instruments = now
            self._note_change()

    def of(self, broker: BrokerName) -> Sequence[InstrumentId]:
        return self._instruments.get(broker, ())

    def anywhere(self, instrument: InstrumentId) -> bool:
        return any(instrument in wanted for wanted in self._instruments.values())

    async def newer_than(self, version: int) -> None:
        """Returns once there is something newer than that version."""
        while self.version == version:
            await self._changed.wait()

    def _note_change(self) -> None:
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()
