"""Market protection: a market order becomes a limit order at the edge of a band around the last price."""

from decimal import Decimal

from simulator.exchange.market import Market
from simulator.exchange.orders import Side
from simulator.money import PRICE_SCALE, round_down, round_up

AUTOMATIC = Decimal(-1)
_AUTOMATIC_BANDS = ((100 * PRICE_SCALE, Decimal(2)), (500 * PRICE_SCALE, Decimal(1)))
_AUTOMATIC_ABOVE = Decimal("0.5")


def protection_percent(market: Market, wanted: Decimal) -> Decimal:
    """The percentage that applies: the wanted one, or by price slab for automatic."""
    if wanted != AUTOMATIC:
        return wanted
    for below, percent in _AUTOMATIC_BANDS:
        if market.last_price < below:
            return percent
    return _AUTOMATIC_ABOVE


def protected_price(market: Market, *, side: Side, percent: str) -> int:
    """The limit price for a market order, on the tick, inside the band and the circuit limits."""
    share = protection_percent(market, Decimal(percent))
    tick = market.instrument.tick_size
    distance = int(market.last_price * share / 100)
    # The edge is inside the band, but always reaches a last price that is itself off the tick.
    if side is Side.BUY:
        edge = max(round_down(market.last_price + distance, tick), round_up(market.last_price, tick))
        return min(edge, market.upper_circuit)
    edge = min(round_up(market.last_price - distance, tick), round_down(market.last_price, tick))
    return max(edge, market.lower_circuit)
