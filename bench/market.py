"""Prices of the synthetic shares: what a stop is, what crosses it, and how a crossing is made."""

from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal

from bench.stack import World

_STOP, _CROSSING = Decimal("0.93"), Decimal("0.90")
_RUPEE = Decimal(1)


def symbol_named(number: int) -> str:
    """The exchange's synthetic shares are numbered from 1."""
    return f"SYM{number:04d}"


def symbols(first: int, count: int) -> list[str]:
    return [symbol_named(number) for number in range(first, first + count)]


async def stops_of(world: World, wanted: Iterable[str]) -> dict[str, Decimal]:
    """Far enough below the last prices that their random walk does not come there."""
    return {symbol: _part(price, _STOP) for symbol, price in (await _last_prices(world, wanted)).items()}


async def cross(world: World, wanted: Iterable[str]) -> int:
    """Prices below the stops, in one step; answers when the ticks left, nanoseconds. The prices are held from then on."""
    prices = {symbol: str(_part(price, _CROSSING)) for symbol, price in (await _last_prices(world, wanted)).items()}
    return int((await world.control("POST", "/prices", prices))["sent_ns"])


async def _last_prices(world: World, wanted: Iterable[str]) -> dict[str, Decimal]:
    known = await world.control("GET", "/prices")
    return {symbol: Decimal(str(known[symbol]["last_price"])) for symbol in wanted}


def _part(price: Decimal, part: Decimal) -> Decimal:
    return (price * part).quantize(_RUPEE, ROUND_DOWN)
