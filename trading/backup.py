"""A stop that rests at the broker, wider than ours: what is left of a plan while nothing of the platform runs. Pure.

It is the run's one exit order, placed ahead of its time as a stop-limit order, and becomes the exit by being modified into its
limit: there is never a second sale.
"""

from dataclasses import dataclass
from decimal import Decimal

from trading.bands import clamp_to_circuit, protected_limit, round_to_tick
from trading.instruments import Instrument
from trading.orders import Side

# How far below our stop it waits, and between which distances it may stay when our stop moves (percent of our stop).
WIDER_PERCENT = Decimal(1)
NEAREST_PERCENT = Decimal("0.5")
FARTHEST_PERCENT = Decimal(2)
# How far below its trigger it may sell: nobody is there to follow the price.
LIMIT_BAND_STEP = 2


@dataclass(frozen=True, slots=True)
class BackupPrices:
    """Rupees, on the tick; `limit` is below `trigger`, or at it on the lowest tick."""

    trigger: Decimal
    limit: Decimal


def backup_prices(stop: Decimal, instrument: Instrument) -> BackupPrices | None:
    """Where it rests for this stop. None: that would be outside the day's limits, or below one tick."""
    trigger = round_to_tick(stop * (100 - WIDER_PERCENT) / 100, instrument.tick_size, up=False)
    if trigger < instrument.tick_size or trigger != clamp_to_circuit(trigger, instrument):
        return None
    limit = protected_limit(Side.SELL, last_price=trigger, instrument=instrument, step=LIMIT_BAND_STEP)
    return BackupPrices(trigger, min(limit, trigger))


def stands_well(trigger: Decimal, stop: Decimal) -> bool:
    """Whether it may stay where it rests: clearly below our stop, and not far from it."""
    return stop * (100 - FARTHEST_PERCENT) <= trigger * 100 <= stop * (100 - NEAREST_PERCENT)
