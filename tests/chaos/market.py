"""Prices by hand: each symbol has a level that trembles, and now and then falls or rises for good, through many a stop."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from tests.chaos.calls import Caller, NoAnswer

STEP_SECONDS = 1.0
# A level holds at least this long: a crossing nobody can see for all this time is a crossing that was missed.
LEVEL_SECONDS = (25.0, 45.0)
# A multiple of every tick size the exchange has at these prices.
_TICK = Decimal("0.5")
_FARTHEST = Decimal("0.08")
SYMBOLS: Mapping[str, Decimal] = {
    "TCS": Decimal(3600), "INFY": Decimal(1500), "SBIN": Decimal(820), "HDFCBANK": Decimal(980), "ICICIBANK": Decimal(1380),
    "ITC": Decimal(410), "LT": Decimal(3700), "AXISBANK": Decimal(1150), "KOTAKBANK": Decimal(2050), "TITAN": Decimal(3450),
}  # fmt: skip


def on_tick(price: Decimal) -> Decimal:
    return ((price / _TICK).quantize(Decimal(1), ROUND_HALF_UP) * _TICK).quantize(Decimal("0.01"))


@dataclass(slots=True)
class _Quote:
    base: Decimal
    level: Decimal
    price: Decimal
    changes_in: float


@dataclass(slots=True)
class Market:
    """Moves every symbol once a second; `price` is the newest one it has set."""

    control: Caller
    rng: random.Random
    _quotes: dict[str, _Quote] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for symbol, base in SYMBOLS.items():
            self._quotes[symbol] = _Quote(base, base, base, self.rng.uniform(10, LEVEL_SECONDS[1]))

    def price(self, symbol: str) -> Decimal:
        return self._quotes[symbol].price

    async def run(self) -> None:
        """Until cancelled. The exchange is never disturbed, so it always answers."""
        while True:
            for quote in self._quotes.values():
                self._move(quote)
            await self.publish()
            await asyncio.sleep(STEP_SECONDS)

    async def publish(self) -> None:
        try:
            await self.control("POST", "/prices", {symbol: str(quote.price) for symbol, quote in self._quotes.items()})
        except NoAnswer:
            return

    def _move(self, quote: _Quote) -> None:
        quote.changes_in -= STEP_SECONDS
        if quote.changes_in <= 0:
            quote.level = self._next_level(quote)
            quote.changes_in = self.rng.uniform(*LEVEL_SECONDS)
        tremble = Decimal(self.rng.randint(-5, 5)) / 10_000
        quote.price = on_tick(quote.level * (1 + tremble))

    def _next_level(self, quote: _Quote) -> Decimal:
        """One to two and a half percent away; back towards the middle where the circuit limits come near."""
        away = Decimal(self.rng.randint(100, 250)) / 10_000
        falls = self.rng.random() < 0.6
        if abs(quote.level / quote.base - 1) > _FARTHEST:
            falls = quote.level > quote.base
        return quote.level * (1 - away if falls else 1 + away)
