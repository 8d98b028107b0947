"""The simulator's own exchange for one rehearsed day: one instrument, one account, and the day's clock instead of ours.

The only door to the engine. It speaks the domain's language, as a broker's adapter does, and lives in the playground's own
process, from which nothing that trades can be reached.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from playground.bars import SCALE, Bars, to_instant, to_milliseconds, to_rupees, to_units
from simulator.exchange import instruments as listed
from simulator.exchange import orders as engine
from simulator.exchange.accounts import Account
from simulator.exchange.engine import Exchange
from simulator.exchange.events import Event
from simulator.exchange.refusals import Reason, Refusal
from simulator.money import LARGEST_AMOUNT
from trading.instruments import Instrument, Segment
from trading.orders import (
    Accepted,
    BrokerOrder,
    BrokerOrderStatus,
    BrokerTrade,
    ChangeOutcome,
    ModifyRequest,
    OrderRequest,
    Placed,
    PlaceOutcome,
    RefusalKind,
    Refused,
    Side,
)

_ACCOUNT = "rehearsal"
_NS_PER_MS = 1_000_000
# Where no freeze quantity is published no order is too large.
_NO_FREEZE = 2**40

_STATUS = {
    engine.Status.OPEN: BrokerOrderStatus.OPEN,
    engine.Status.COMPLETE: BrokerOrderStatus.COMPLETE,
    engine.Status.CANCELLED: BrokerOrderStatus.CANCELLED,
    engine.Status.REJECTED: BrokerOrderStatus.REJECTED,
}
_REFUSED = {
    Reason.NO_FUNDS: (RefusalKind.MARGIN, "the account's funds do not suffice"),
    Reason.NO_HOLDINGS: (RefusalKind.HOLDING, "there are not so many shares to deliver"),
    Reason.MARKET_CLOSED: (RefusalKind.OTHER, "the market is closed"),
    Reason.UNKNOWN_ORDER: (RefusalKind.GONE, "there is no such order"),
    Reason.ORDER_DONE: (RefusalKind.GONE, "the order is done"),
    Reason.TOO_MANY_MODIFICATIONS: (RefusalKind.BUDGET, "the order was modified too often"),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """How this market trades. `slippage_millionths`: how far from the last price it buys and sells; `depth`: how many shares it
    gives and takes at each price, None: as many as are wanted."""

    slippage_millionths: int = 0
    depth: int | None = None


class RehearsalMarket:
    """Opens at the day's first price. Its clock stands until `move` or `wait` puts it forward."""

    def __init__(self, instrument: Instrument, bars: Bars, *, terms: Terms) -> None:
        first = int(bars.open[0])
        self._now_ns = int(bars.start[0]) * _NS_PER_MS
        self._id = instrument.id
        self._exchange = Exchange(clock=lambda: self._now_ns)
        # More than anybody needs: whether funds suffice is for readiness to say.
        self._has_news = False
        self._exchange.on_event.append(self._hear)
        self._account = Account(_ACCOUNT, "", _ACCOUNT, funds=LARGEST_AMOUNT)
        self._exchange.accounts[_ACCOUNT] = self._account
        self._market = self._exchange.add_instrument(_as_listed(instrument), price=first)
        self._market.spread_millionths = terms.slippage_millionths
        lower, upper = _circuit(instrument, bars, self._market.lower_circuit, self._market.upper_circuit)
        self._exchange.set_circuit(self._market.instrument.key, lower=lower, upper=upper)
        self._exchange.set_depth(self._market.instrument.key, terms.depth)

    @property
    def last_price(self) -> Decimal:
        return to_rupees(self._market.last_price)

    @property
    def limits(self) -> tuple[Decimal | None, Decimal]:
        """The day's circuit limits in rupees; no lower one where it would be nothing."""
        lower, upper = self._market.lower_circuit, self._market.upper_circuit
        return to_rupees(lower) if lower > 0 else None, to_rupees(upper)

    def _hear(self, _: Event) -> None:
        self._has_news = True

    def has_news(self) -> bool:
        """Whether anything became of any order since this was asked last: the order stream's hint to look into the book."""
        has_news, self._has_news = self._has_news, False
        return has_news

    def wait(self, until: datetime) -> None:
        """Time passes and no price comes."""
        self._now_ns = to_milliseconds(until) * _NS_PER_MS

    def move(self, at: datetime, price: Decimal) -> None:
        """A price of the market: what rests trades first, as far as the price has come to it."""
        self.wait(at)
        self._exchange.set_prices({self._market.instrument.key: to_units(price)})

    # --- what a broker's adapter does -----------------------------------------------------------------------------------------

    def place(self, request: OrderRequest) -> PlaceOutcome:
        """There is no wire between us: the outcome is never unknown."""
        wanted = engine.OrderRequest(
            account=_ACCOUNT,
            instrument=str(request.instrument),
            side=engine.Side(request.side.value),
            order_type=engine.OrderType.LIMIT,
            product=engine.Product(request.product.value),
            quantity=request.quantity,
            price=to_units(request.price),
            tag=request.tag,
        )
        try:
            return Placed(self._exchange.place(wanted).order_id)
        except Refusal as refusal:
            return _refused(refusal)

    def modify(self, request: ModifyRequest) -> ChangeOutcome:
        wanted = engine.ModifyRequest(_ACCOUNT, request.broker_order_id, quantity=request.quantity, price=to_units(request.price))
        try:
            self._exchange.modify(wanted)
        except Refusal as refusal:
            return _refused(refusal)
        return Accepted()

    def cancel(self, broker_order_id: str) -> ChangeOutcome:
        try:
            self._exchange.cancel(account=_ACCOUNT, order_id=broker_order_id)
        except Refusal as refusal:
            return _refused(refusal)
        return Accepted()

    def orders(self) -> list[BrokerOrder]:
        """The account's book, oldest first."""
        return [self._as_in_the_book(order) for order in self._account.orders]

    def trades(self, *, since: int = 0) -> list[BrokerTrade]:
        """The account's executions in their order, without the first `since`."""
        return [
            BrokerTrade(
                trade.trade_id,
                trade.order_id,
                self._id,
                None,
                Side(trade.side.value),
                trade.quantity,
                to_rupees(trade.price),
                to_instant(trade.at_ns // _NS_PER_MS),
            )
            for trade in self._account.trades[since:]
        ]

    def _as_in_the_book(self, order: engine.Order) -> BrokerOrder:
        average = Decimal(order.filled_value) / order.filled / SCALE if order.filled else Decimal(0)
        return BrokerOrder(
            order.order_id,
            order.tag,
            self._id,
            None,
            Side(order.side.value),
            order.quantity,
            order.filled,
            to_rupees(order.price),
            average,
            _STATUS[order.status],
            order.message or "",
            to_instant(order.exchange_at_ns // _NS_PER_MS),
            order.exchange_order_id,
        )


def _as_listed(instrument: Instrument) -> listed.Instrument:
    kind = listed.Kind.EQUITY if instrument.segment is Segment.CASH else listed.Kind.FUTURE
    return listed.Instrument(
        instrument.id.exchange,
        instrument.id.symbol,
        instrument.name,
        1,
        kind,
        to_units(instrument.tick_size),
        instrument.lot_size,
        instrument.freeze_quantity or _NO_FREEZE,
    )


def _circuit(instrument: Instrument, bars: Bars, lower: int, upper: int) -> tuple[int, int]:
    """The instrument's own limits, or the engine's. What a past day's really were nobody wrote down: where prices went beyond the
    engine's, they cannot have been there."""
    tick = to_units(instrument.tick_size)
    lowest, highest = int(bars.low.min()), int(bars.high.max())
    if instrument.lower_circuit is not None:
        lower = to_units(instrument.lower_circuit)
    elif lowest <= lower:
        lower = lowest - lowest % tick - tick
    if instrument.upper_circuit is not None:
        upper = to_units(instrument.upper_circuit)
    elif highest >= upper:
        upper = highest - highest % tick + 2 * tick
    return lower, upper


def _refused(refusal: Refusal) -> Refused:
    kind, words = _REFUSED.get(refusal.reason, (RefusalKind.INPUT, refusal.reason.name.replace("_", " ").lower()))
    return Refused(kind, words)
