"""The rules of a paper account: what is filled, at which price, and what the account may do. Pure: prices and rows in, fills out.

Honest means: never better than the price that was seen, never on a price that is old or from outside the session, and each price
seen fills an order once. What a real exchange adds (a queue, other people's orders, an order's own effect on the price) is not
there; slippage and the largest fill stand in for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from trading.bands import round_to_tick
from trading.instruments import Instrument, InstrumentId, Product
from trading.orders import OrderRequest, RefusalKind, Refused, Side

ZERO = Decimal(0)
# Money is kept as finely as the database keeps it.
MONEY = Decimal("0.0001")

DEFAULT_CASH = Decimal(1_000_000)
MOST_CASH = Decimal(1_000_000_000_000)
# The newest price of a quiet instrument may be this old while its feed is alive; an older one fills nothing.
PRICE_LIFE = timedelta(seconds=60)
# Processes on several machines: a price may come from a clock that is a little ahead of ours.
CLOCK_SLACK = timedelta(seconds=2)


MARKET_CLOSED = Refused(RefusalKind.OTHER, "the market is closed")


@dataclass(frozen=True, slots=True)
class PaperRules:
    """How unkind the market is. `slippage_percent` of the price is lost on every fill; `largest_fill`: most shares one price
    seen can fill of an order, None for all of them."""

    slippage_percent: Decimal = Decimal("0.02")
    largest_fill: int | None = None


@dataclass(frozen=True, slots=True)
class SeenPrice:
    """A last traded price in rupees and the instant (aware) at which it was seen."""

    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class OpenHours:
    """Continuous trading of one instrument on one day, aware instants; `ends` is outside."""

    opens: datetime
    ends: datetime

    def contains(self, moment: datetime) -> bool:
        return self.opens <= moment < self.ends


@dataclass(frozen=True, slots=True)
class Resting:
    """What is left of an order. `filled_on`: the instant of the price that filled it last."""

    side: Side
    price: Decimal
    quantity: int
    filled_quantity: int = 0
    filled_on: datetime | None = None

    @property
    def left(self) -> int:
        return self.quantity - self.filled_quantity


@dataclass(frozen=True, slots=True)
class PaperFill:
    quantity: int
    price: Decimal

    @property
    def value(self) -> Decimal:
        return self.quantity * self.price


def fill_of(
    order: Resting, seen: SeenPrice, *, rules: PaperRules, hours: OpenHours, tick_size: Decimal, now: datetime
) -> PaperFill | None:
    """What that price fills of the order now; None: nothing."""
    if order.left <= 0 or not _may_fill(order, seen, hours, now):
        return None
    if seen.price > order.price if order.side is Side.BUY else seen.price < order.price:
        return None
    quantity = order.left if rules.largest_fill is None else min(order.left, rules.largest_fill)
    return PaperFill(quantity, _fill_price(order, seen.price, rules, tick_size))


def _may_fill(order: Resting, seen: SeenPrice, hours: OpenHours, now: datetime) -> bool:
    if not seen.price.is_finite() or seen.price <= 0:
        return False
    if not hours.contains(now) or seen.at < hours.opens:
        return False
    if not -CLOCK_SLACK <= now - seen.at <= PRICE_LIFE:
        return False
    return order.filled_on is None or seen.at > order.filled_on


def _fill_price(order: Resting, seen: Decimal, rules: PaperRules, tick_size: Decimal) -> Decimal:
    """The price seen, made worse by the slippage and moved to the tick against the order, but never beyond its limit."""
    lost = seen * rules.slippage_percent / 100
    if order.side is Side.BUY:
        return min(round_to_tick(seen + lost, tick_size, up=True), order.price)
    return max(round_to_tick(seen - lost, tick_size, up=False), order.price)


@dataclass(frozen=True, slots=True)
class PaperPosition:
    """Shares held and what they cost, rupees; `realised`: earned by what was sold, before charges.

    `realised - cost` is what sales brought in less what purchases took out, exactly.
    """

    quantity: int = 0
    cost: Decimal = ZERO
    realised: Decimal = ZERO

    @property
    def average_price(self) -> Decimal:
        return self.cost / self.quantity if self.quantity else ZERO

    def after(self, side: Side, fill: PaperFill) -> "PaperPosition":
        """Raises ValueError for a sale of more than is held: a paper account is never short."""
        if side is Side.BUY:
            return replace(self, quantity=self.quantity + fill.quantity, cost=self.cost + fill.value)
        if fill.quantity > self.quantity:
            raise ValueError(f"{fill.quantity} were to be sold, {self.quantity} are held")
        left = self.quantity - fill.quantity
        # The last share takes all that is left of the cost with it.
        cost = (self.cost * left / self.quantity).quantize(MONEY) if left else ZERO
        return PaperPosition(left, cost, self.realised + fill.value - (self.cost - cost))


@dataclass(frozen=True, slots=True)
class Working:
    """An open order, as far as it ties up money or shares."""

    instrument: InstrumentId
    product: Product
    resting: Resting

    @property
    def blocked_cash(self) -> Decimal:
        return self.resting.left * self.resting.price if self.resting.side is Side.BUY else ZERO


@dataclass(frozen=True, slots=True)
class Means:
    """What an account has, its open orders (without the one that is asked about) and what it holds of the instrument."""

    cash: Decimal
    working: tuple[Working, ...]
    held: int

    @property
    def blocked(self) -> Decimal:
        return blocked_cash(self.working)


def blocked_cash(working: Iterable[Working]) -> Decimal:
    return sum((order.blocked_cash for order in working), ZERO)


def refusal_of(order: OrderRequest, *, instrument: Instrument, hours: OpenHours, means: Means, now: datetime) -> Refused | None:
    """Why a paper account does not take an order; None: it does.

    Every purchase needs its whole value in cash, intraday too, and only what is held can be sold.
    """
    wrong = _what_is_wrong(order, instrument)
    if wrong is not None:
        return Refused(RefusalKind.INPUT, wrong)
    if not hours.contains(now):
        return MARKET_CLOSED
    return refusal_of_means(order.instrument, order.product, Resting(order.side, order.price, order.quantity), means)


def refusal_of_means(instrument: InstrumentId, product: Product, order: Resting, means: Means) -> Refused | None:
    """Whether there is the money, or the shares, for what is left of an order."""
    if order.side is Side.BUY:
        needed, available = order.left * order.price, means.cash - means.blocked
        if needed > available:
            return Refused(RefusalKind.MARGIN, f"{needed:.2f} rupees are needed, {available:.2f} are available")
        return None
    on_sale = sum(
        other.resting.left
        for other in means.working
        if other.resting.side is Side.SELL and (other.instrument, other.product) == (instrument, product)
    )
    if order.left > means.held - on_sale:
        return Refused(
            RefusalKind.HOLDING, f"{order.left} {instrument.symbol} were to be sold, {means.held - on_sale} are there to sell"
        )
    return None


def _what_is_wrong(order: OrderRequest, instrument: Instrument) -> str | None:
    if order.quantity <= 0 or order.quantity % instrument.lot_size:
        return f"the quantity must be a positive multiple of {instrument.lot_size}"
    if instrument.freeze_quantity is not None and order.quantity > instrument.freeze_quantity:
        return f"one order may carry at most {instrument.freeze_quantity}"
    return wrong_price(order.price, instrument)


def wrong_price(price: Decimal, instrument: Instrument) -> str | None:
    if not price.is_finite() or price <= 0 or price % instrument.tick_size:
        return f"the price must be a positive multiple of {instrument.tick_size.normalize():f}"
    if instrument.lower_circuit is not None and price < instrument.lower_circuit:
        return f"the price is below the lower circuit limit {instrument.lower_circuit:.2f}"
    if instrument.upper_circuit is not None and price > instrument.upper_circuit:
        return f"the price is above the upper circuit limit {instrument.upper_circuit:.2f}"
    return None
