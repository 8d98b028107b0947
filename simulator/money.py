"""Prices as integers, and their way in from and out to JSON.

Inside the simulator a price is an integer count of 1/10,000 rupee: fine enough for currency ticks (0.0025 rupee), and
exact. Floats exist only in what JSON carries, as at the brokers themselves.
"""

from decimal import Decimal, InvalidOperation

PRICE_SCALE = 10_000
"""Price units in one rupee."""

LARGEST_PRICE = 10_000_000 * PRICE_SCALE
"""One crore rupees: beyond any traded price, and inside the 32 bits it has on the wire."""

LARGEST_AMOUNT = 10**12 * PRICE_SCALE
"""A lakh crore rupees: beyond any account's funds."""


def to_price(value: object) -> int:
    """Read rupees (a string, int, float or Decimal) as price units.

    Raises ValueError for anything that is not a finite number with at most four decimals.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"not a price: {value!r}")
    try:
        rupees = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"not a price: {value!r}") from None
    if not rupees.is_finite() or abs(rupees) > LARGEST_AMOUNT // PRICE_SCALE:
        raise ValueError(f"not a price: {value!r}")
    units = rupees * PRICE_SCALE
    if units != units.to_integral_value():
        raise ValueError(f"a price has at most four decimals: {value!r}")
    return int(units)


def rupees(price: int) -> int | float:
    """Show price units as a JSON number: whole rupees without a decimal point, as Kite does."""
    if price % PRICE_SCALE == 0:
        return price // PRICE_SCALE
    return price / PRICE_SCALE


def average(value: int, quantity: int) -> int | float:
    """Show the average price of a traded value; zero when nothing was traded."""
    if quantity == 0:
        return 0
    if value % quantity == 0:
        return rupees(value // quantity)
    return value / (quantity * PRICE_SCALE)


def round_down(price: int, tick: int) -> int:
    """The largest multiple of the tick not above the price."""
    return price - price % tick


def round_up(price: int, tick: int) -> int:
    """The smallest multiple of the tick not below the price."""
    return -(-price // tick) * tick
