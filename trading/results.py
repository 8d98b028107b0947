"""What runs have earned and cost: per run, summed over any group of runs, and as a curve over time.

Every sum is a sum of runs' figures, each of which is whole paise; so groups add up to the total whichever way runs are grouped.
Money of a run is taken from its fills. While the broker's trade book has not told all of them, the orders' own sums stand in, and
the run is shown as not reconciled. `realised - unsold_cost` is what the fills brought in less what they took out, to the paisa.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from trading.accounts import BrokerName, Environment
from trading.charges import Charges, Executed, estimate
from trading.instruments import Product
from trading.orders import Side
from trading.runs import EndReason, Holding

ZERO = Decimal(0)
PAISA = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class OrderFills:
    """What one order did. `filled_quantity` is what the order row counts, `executed` what its fills add up to.

    `wanted_price`: the stop's trigger price, else the price the order's limit was made from; None when it was not written down.
    """

    executed: Executed
    filled_quantity: int
    average_price: Decimal
    wanted_price: Decimal | None = None

    @property
    def is_whole(self) -> bool:
        return self.executed.quantity == self.filled_quantity

    @property
    def counted(self) -> Executed:
        """The fills where all of them are known, else what the order row says."""
        if self.is_whole:
            return self.executed
        value = self.filled_quantity * self.average_price
        return replace(self.executed, quantity=self.filled_quantity, value=value)

    @property
    def slippage(self) -> Decimal | None:
        """Rupees lost between the price wanted and the price got; negative is a gain."""
        if self.wanted_price is None:
            return None
        counted = self.counted
        wanted = self.wanted_price * counted.quantity
        lost = counted.value - wanted if counted.side is Side.BUY else wanted - counted.value
        return lost.quantize(PAISA)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run as its rows tell it. `last_price` None: not known now."""

    run_id: str
    strategy_id: str
    account_id: str
    broker: BrokerName
    environment: Environment
    trading_day: date
    exchange: str
    symbol: str
    product: Product
    is_ended: bool
    end_reason: EndReason | None
    taken_elsewhere: int
    orders: tuple[OrderFills, ...]
    last_price: Decimal | None = None
    entry_late_ms: int | None = None
    exit_late_ms: int | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """Rupees. `open_pnl`, `charges` and `net` are None where they cannot be known, which is not zero."""

    facts: RunFacts
    holding: Holding
    realised: Decimal
    unsold_cost: Decimal
    open_pnl: Decimal | None
    charges: Charges | None
    slippage: Decimal | None
    is_reconciled: bool

    @property
    def is_traded(self) -> bool:
        return self.holding.bought > 0

    @property
    def net(self) -> Decimal | None:
        return None if self.charges is None else self.realised - self.charges.total


def result_of(facts: RunFacts) -> RunResult:
    counted = [order.counted for order in facts.orders]
    bought, buy_value = _side(counted, Side.BUY)
    sold, sell_value = _side(counted, Side.SELL)
    holding = Holding(bought, buy_value, sold, sell_value, facts.taken_elsewhere)
    realised = holding.realised_pnl
    slippages = [order.slippage for order in facts.orders if order.filled_quantity]
    known = [lost for lost in slippages if lost is not None]
    return RunResult(
        facts=facts,
        holding=holding,
        realised=realised,
        unsold_cost=realised - (sell_value - buy_value).quantize(PAISA),
        open_pnl=_open_pnl(facts, holding),
        charges=estimate(counted, broker=facts.broker, exchange=facts.exchange, product=facts.product),
        slippage=sum(known, ZERO) if slippages and len(known) == len(slippages) else None,
        is_reconciled=all(order.is_whole for order in facts.orders),
    )


def _side(orders: Iterable[Executed], side: Side) -> tuple[int, Decimal]:
    listed = [order for order in orders if order.side is side]
    return sum(order.quantity for order in listed), sum((order.value for order in listed), ZERO)


def _open_pnl(facts: RunFacts, holding: Holding) -> Decimal | None:
    """Shares of an ended run that were left to their owner are no longer ours to follow."""
    if facts.is_ended or holding.open_quantity <= 0:
        return ZERO
    return None if facts.last_price is None else holding.unrealised_pnl(facts.last_price)


@dataclass(frozen=True, slots=True)
class Lateness:
    """Milliseconds after the wanted instant, over orders that were sent; None before the first."""

    orders: int = 0
    median_ms: int | None = None
    p95_ms: int | None = None
    worst_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Sums:
    """Over any number of runs. Wins and losses are by net result where charges are known, else by the realised one; a run counts
    once it has ended and bought something."""

    runs: int = 0
    open_runs: int = 0
    traded_runs: int = 0
    winning_runs: int = 0
    losing_runs: int = 0
    bought_value: Decimal = ZERO
    sold_value: Decimal = ZERO
    realised: Decimal = ZERO
    unsold_cost: Decimal = ZERO
    open_pnl: Decimal | None = ZERO
    charges: Decimal | None = ZERO
    slippage: Decimal = ZERO
    slippage_runs: int = 0
    unreconciled_runs: int = 0
    uncharged_runs: int = 0
    unpriced_runs: int = 0
    lateness: Lateness = field(default_factory=Lateness)
    end_reasons: tuple[tuple[EndReason, int], ...] = ()

    @property
    def net(self) -> Decimal | None:
        return None if self.charges is None else self.realised - self.charges

    @property
    def win_rate(self) -> Decimal | None:
        return Decimal(self.winning_runs) / self.traded_runs if self.traded_runs else None


def add_up(results: Sequence[RunResult]) -> Sums:
    ended = [result for result in results if result.facts.is_ended and result.is_traded]
    earned = [result.realised if result.net is None else result.net for result in ended]
    uncharged = sum(result.charges is None and result.is_traded for result in results)
    unpriced = sum(result.open_pnl is None for result in results)
    slipped = [result.slippage for result in results if result.slippage is not None]
    reasons = [result.facts.end_reason for result in results]
    return Sums(
        runs=len(results),
        open_runs=sum(not result.facts.is_ended for result in results),
        traded_runs=len(ended),
        winning_runs=sum(value > 0 for value in earned),
        losing_runs=sum(value < 0 for value in earned),
        bought_value=sum((result.holding.buy_value for result in results), ZERO),
        sold_value=sum((result.holding.sell_value for result in results), ZERO),
        realised=sum((result.realised for result in results), ZERO),
        unsold_cost=sum((result.unsold_cost for result in results), ZERO),
        open_pnl=None if unpriced else sum((result.open_pnl or ZERO for result in results), ZERO),
        charges=None if uncharged else sum((result.charges.total for result in results if result.charges), ZERO),
        slippage=sum(slipped, ZERO),
        slippage_runs=len(slipped),
        unreconciled_runs=sum(not result.is_reconciled for result in results),
        uncharged_runs=uncharged,
        unpriced_runs=unpriced,
        lateness=_lateness(results),
        end_reasons=tuple((reason, reasons.count(reason)) for reason in EndReason if reason in reasons),
    )


def _lateness(results: Iterable[RunResult]) -> Lateness:
    late = sorted(
        milliseconds
        for result in results
        for milliseconds in (result.facts.entry_late_ms, result.facts.exit_late_ms)
        if milliseconds is not None
    )
    if not late:
        return Lateness()
    return Lateness(len(late), _rank(late, 50), _rank(late, 95), late[-1])


def _rank(ordered: Sequence[int], percent: int) -> int:
    """The smallest value that so many per cent of all do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


@dataclass(frozen=True, slots=True)
class Point:
    """The equity curve after one trading day. `drawdown`: below the highest point so far, zero at a new high."""

    trading_day: date
    runs: int
    result: Decimal
    equity: Decimal
    drawdown: Decimal


@dataclass(frozen=True, slots=True)
class Curve:
    """`is_net`: after estimated charges; where those of any run are unknown, the whole curve is before charges. It begins at
    zero, so a first losing day is a drawdown."""

    points: tuple[Point, ...]
    is_net: bool

    @property
    def worst_drawdown(self) -> Decimal:
        return max((point.drawdown for point in self.points), default=ZERO)


def curve_of(results: Sequence[RunResult]) -> Curve:
    """Over runs that have ended and bought something, by trading day."""
    counted = [result for result in results if result.facts.is_ended and result.is_traded]
    is_net = all(result.charges is not None for result in counted)
    by_day: dict[date, list[Decimal]] = {}
    for result in counted:
        earned = result.net if is_net and result.net is not None else result.realised
        by_day.setdefault(result.facts.trading_day, []).append(earned)
    points, equity, highest = [], ZERO, ZERO
    for day in sorted(by_day):
        of_day = sum(by_day[day], ZERO)
        equity += of_day
        highest = max(highest, equity)
        points.append(Point(day, len(by_day[day]), of_day, equity, highest - equity))
    return Curve(tuple(points), is_net)
