"""A stop that follows the price: so far below the highest price since the entry, on the tick, and never down. Pure."""

from dataclasses import dataclass
from decimal import Decimal

from trading.bands import round_to_tick


@dataclass(frozen=True, slots=True)
class Trail:
    """How far below the highest price the stop stays: `rupees`, or `percent` of that price. Exactly one of the two is set."""

    rupees: Decimal | None = None
    percent: Decimal | None = None

    def __post_init__(self) -> None:
        if (self.rupees is None) == (self.percent is None):
            raise ValueError("a stop trails by rupees or by percent")

    def below(self, highest: Decimal) -> Decimal:
        """Where it would put the stop, before rounding; zero or less when the distance is longer than the price."""
        if self.rupees is not None:
            return highest - self.rupees
        assert self.percent is not None  # noqa: S101 (one of the two is set)
        return highest - highest * self.percent / 100


def trail_of(rupees: Decimal | None, percent: Decimal | None) -> Trail | None:
    """None when neither is set: the stop stands still. Raises ValueError when both are."""
    return None if rupees is None and percent is None else Trail(rupees, percent)


def trailed(stop: Decimal, *, trail: Trail, highest: Decimal, tick_size: Decimal) -> Decimal:
    """The stop after a price of `highest`: rounded down to the tick, and never below `stop`."""
    return max(stop, round_to_tick(trail.below(highest), tick_size, up=False))


def raises_at(stop: Decimal, *, trail: Trail, tick_size: Decimal) -> Decimal:
    """The lowest price on the tick that raises this stop. A percentage of 100 or more never does: Infinity."""
    wanted = stop + tick_size
    if trail.rupees is not None:
        return round_to_tick(wanted + trail.rupees, tick_size, up=True)
    assert trail.percent is not None  # noqa: S101 (one of the two is set)
    if trail.percent >= 100:
        return Decimal("Infinity")
    price = round_to_tick(wanted * 100 / (100 - trail.percent), tick_size, up=True)
    # The quotient is rounded: the tick below it may do as well.
    below = price - tick_size
    return below if trailed(stop, trail=trail, highest=below, tick_size=tick_size) > stop else price
