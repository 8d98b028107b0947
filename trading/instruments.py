"""What can be traded: one contract on one exchange, with the rules its orders must keep."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum


class Product(str, Enum):
    """How long a position may live: intraday, delivery, or carried forward (derivatives)."""

    MIS = "MIS"
    CNC = "CNC"
    NRML = "NRML"


class Segment(str, Enum):
    """Exchange division; decides the session."""

    CASH = "CASH"
    DERIVATIVES = "DERIVATIVES"
    CURRENCY = "CURRENCY"
    COMMODITY = "COMMODITY"
    INDEX = "INDEX"


@dataclass(frozen=True, slots=True, order=True)
class InstrumentId:
    """Exchange and symbol: our key everywhere. Brokers' tokens are reused over time, so they are never a key."""

    exchange: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.exchange}:{self.symbol}"

    @classmethod
    def parse(cls, text: str) -> "InstrumentId":
        """Read `NSE:TCS`. Raises ValueError for anything else."""
        exchange, separator, symbol = text.partition(":")
        if not (exchange and separator and symbol):
            raise ValueError(f"an instrument is written EXCHANGE:SYMBOL, was {text!r}")
        return cls(exchange, symbol)


@dataclass(frozen=True, slots=True)
class PriceLimits:
    """The circuit limits of one day, rupees: no order may be priced beyond them. None: there is none, or it is not known."""

    lower: Decimal | None = None
    upper: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable contract. `tick_size` in rupees; `freeze_quantity` is the most one order may carry (None: not published)."""

    id: InstrumentId
    name: str
    segment: Segment
    tick_size: Decimal
    lot_size: int = 1
    freeze_quantity: int | None = None
    has_derivatives: bool = False
    lower_circuit: Decimal | None = None
    upper_circuit: Decimal | None = None
