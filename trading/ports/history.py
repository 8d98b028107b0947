"""Past prices, where a broker account has them: for the playground, never for trading."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable

from trading.instruments import InstrumentId


@dataclass(frozen=True, slots=True)
class MinuteBar:
    """One minute of trading. `begins_at` is aware, prices are rupees."""

    begins_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@runtime_checkable
class KeepsHistory(Protocol):
    """A broker port that can also tell what prices were."""

    async def minute_bars(self, instrument: InstrumentId, *, first: date, last: date) -> tuple[MinuteBar, ...]:
        """Of those Indian days, both included, oldest first; minutes without a trade are absent. Raises BrokerError as every read
        does: BrokerRefused where the account has no history or the instrument is not listed."""
