"""Protection bands: how far from the last price a limit order may reach so that it fills at once and yet never at any price.

Exchanges stopped taking bare market orders from algorithms on 1 April 2026; a DAY LIMIT with our own band is the one order
that behaves alike at every broker. The slabs are the exchange's market price protection slabs for equities.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from trading.instruments import Instrument
from trading.orders import Side

# (prices below this many rupees, band in percent of the last price)
SLABS: tuple[tuple[Decimal, Decimal], ...] = ((Decimal(100), Decimal("2")), (Decimal(500), Decimal("1")))
BAND_ABOVE_SLABS = Decimal("0.5")
# An exit that does not fill widens its band step by step; from the last step on it stays there and keeps following the price.
WIDENING: tuple[int, ...] = (1, 2, 4, 8)


def band_percent(last_price: Decimal, step: int = 0) -> Decimal:
    """Width of the band in percent for the given widening step (0 is the first try)."""
    percent = next((percent for below, percent in SLABS if last_price < below), BAND_ABOVE_SLABS)
    return percent * WIDENING[min(step, len(WIDENING) - 1)]


def round_to_tick(price: Decimal, tick_size: Decimal, *, up: bool) -> Decimal:
    """The nearest multiple of the tick at or above (`up`) or at or below the price."""
    if tick_size <= 0:
        raise ValueError(f"tick size must be positive, was {tick_size}")
    steps = (price / tick_size).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR)
    return steps * tick_size


def protected_limit(side: Side, *, last_price: Decimal, instrument: Instrument, step: int = 0) -> Decimal:
    """Limit price of a protected order: above the last price to buy, below it to sell, on the tick, inside the circuit limits.

    Raises ValueError for a price that is not positive and finite: such a price is a broken read, not a price.
    """
    if not last_price.is_finite() or last_price <= 0:
        raise ValueError(f"last price must be positive, was {last_price}")
    distance = last_price * band_percent(last_price, step) / 100
    buying = side is Side.BUY
    wanted = last_price + distance if buying else last_price - distance
    limit = round_to_tick(wanted, instrument.tick_size, up=buying)
    return clamp_to_circuit(limit, instrument)


def clamp_to_circuit(price: Decimal, instrument: Instrument) -> Decimal:
    """The price moved inside the circuit limits, on a tick, and never below one tick."""
    if instrument.upper_circuit is not None:
        price = min(price, round_to_tick(instrument.upper_circuit, instrument.tick_size, up=False))
    if instrument.lower_circuit is not None:
        price = max(price, round_to_tick(instrument.lower_circuit, instrument.tick_size, up=True))
    return max(price, instrument.tick_size)
