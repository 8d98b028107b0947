"""The exchange: one operation at a time, into the journal, then told to the observers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from simulator.clock import now_ns
from simulator.exchange import changing, placing
from simulator.exchange.accounts import Account
from simulator.exchange.core import Core
from simulator.exchange.events import Conversion, Event
from simulator.exchange.gtt import Gtt
from simulator.exchange.instruments import Instrument
from simulator.exchange.market import Market
from simulator.exchange.matching import enter_market, price_moved
from simulator.exchange.orders import ModifyRequest, Order, OrderRequest, Origin, Product, Side
from simulator.exchange.refusals import Reason, Refusal
from simulator.exchange.sessions import Hours, is_open

NO_ORIGIN = Origin()


class Journal(Protocol):
    """Where operations are written before anybody hears of them."""

    def write_events(self, events: Sequence[Event]) -> None:
        """Append and flush."""

    def write_account(self, account: Account) -> None:
        """Append and flush the account's identity, session and funds."""

    def write_instrument(self, market: Market) -> None:
        """Append and flush an instrument with its limits and depth."""

    def write_prices(self, markets: Sequence[Market]) -> None:
        """Append last prices; losing the newest ones is allowed."""

    def write_gtt(self, gtt: Gtt) -> None:
        """Append and flush a good-till-triggered order."""


class NoJournal:
    """Memory only."""

    def write_events(self, events: Sequence[Event]) -> None:
        """Forget."""

    def write_account(self, account: Account) -> None:
        """Forget."""

    def write_instrument(self, market: Market) -> None:
        """Forget."""

    def write_prices(self, markets: Sequence[Market]) -> None:
        """Forget."""

    def write_gtt(self, gtt: Gtt) -> None:
        """Forget."""


class Exchange(Core):
    """The engine's public face. Synchronous: when a call returns, its fills have happened and are in the journal."""

    def __init__(self, *, clock: Callable[[], int] = now_ns, hours: Hours = Hours.ALWAYS_OPEN) -> None:
        super().__init__(clock=clock)
        self.hours = hours
        self.journal: Journal = NoJournal()
        self.gtts: dict[int, Gtt] = {}
        self.last_gtt_number = 0
        self.on_event: list[Callable[[Event], None]] = []
        self.on_prices: list[Callable[[Sequence[Market]], None]] = []

    @contextmanager
    def _operation(self) -> Iterator[None]:
        """Collect events; journal them and tell the observers when the operation is over."""
        try:
            yield
        finally:
            events, self.events = self.events, []
            if events:
                self.journal.write_events(events)
        for event in events:
            for observer in self.on_event:
                observer(event)

    def is_open(self) -> bool:
        """Whether the market takes orders now."""
        return is_open(self.hours, self.clock())

    def add_instrument(self, instrument: Instrument, *, price: int) -> Market:
        """List an instrument; one that exists already is left as it is."""
        if instrument.key not in self.markets:
            self.markets[instrument.key] = Market(instrument, price=price, at_ns=self.clock())
            self.journal.write_instrument(self.markets[instrument.key])
        return self.markets[instrument.key]

    def place(self, request: OrderRequest, origin: Origin = NO_ORIGIN) -> Order:
        """Accept an order and let it trade. Raises Refusal."""
        if not self.is_open():
            raise Refusal(Reason.MARKET_CLOSED)
        with self._operation():
            return placing.place(self, request, origin)

    def place_rejected(self, request: OrderRequest, origin: Origin, *, message: str) -> Order:
        """Accept an order that is rejected afterwards, as brokers do whose checks come late. Raises Refusal."""
        with self._operation():
            return placing.place_rejected(self, request, origin, message=message)

    def modify(self, request: ModifyRequest, origin: Origin = NO_ORIGIN) -> Order:
        """Change an open order. Raises Refusal."""
        if not self.is_open():
            raise Refusal(Reason.MARKET_CLOSED)
        with self._operation():
            return changing.modify(self, request, origin)

    def refuse_modification(self, request: ModifyRequest, origin: Origin, *, message: str) -> Order:
        """Accept a modification that the exchange refuses afterwards. Raises Refusal."""
        with self._operation():
            return changing.refuse_modification(self, request, origin, message=message)

    def cancel(self, *, account: str, order_id: str, origin: Origin = NO_ORIGIN) -> Order:
        """Cancel an open order at its owner's wish. Raises Refusal."""
        with self._operation():
            return changing.cancel(self, account=account, order_id=order_id, origin=origin)

    def refuse_cancellation(self, *, account: str, order_id: str, origin: Origin, message: str) -> Order:
        """Accept a cancellation that the exchange refuses afterwards. Raises Refusal."""
        with self._operation():
            return changing.refuse_cancellation(self, account=account, order_id=order_id, origin=origin, message=message)

    def broker_cancel(self, order: Order, *, message: str) -> None:
        """The broker cancels an open order by itself; one that is done is left alone."""
        if order.is_open:
            with self._operation():
                self.cancel_rest(order, message=message)

    def release_hold(self, order: Order) -> None:
        """Let an order that a fault held back trade like any other."""
        order.fill_cap = None
        if order.rests_in == "book" and self.is_open():
            with self._operation():
                self.unrest(order)
                enter_market(self, order)

    def set_prices(self, prices: Mapping[str, int]) -> int:
        """Move last prices: the ticks leave first, then triggers and resting orders react.

        Answers the wall-clock nanoseconds taken right before the ticks were sent. Raises Refusal for an unknown
        instrument; then no price has moved.
        """
        moved = [(self.market(instrument), price) for instrument, price in prices.items()]
        now = self.clock()
        for market, price in moved:
            market.set_price(price, now)
        markets = [market for market, _ in moved]
        sent_ns = now_ns()
        for observer in self.on_prices:
            observer(markets)
        self.journal.write_prices(markets)
        self._react(markets)
        return sent_ns

    def _react(self, markets: Sequence[Market]) -> None:
        """Let orders react to prices; a closed market only remembers them."""
        if self.is_open():
            with self._operation():
                for market in markets:
                    price_moved(self, market)

    def set_circuit(self, instrument: str, *, lower: int, upper: int) -> None:
        """Set an instrument's circuit limits. Raises Refusal for an unknown instrument."""
        market = self.market(instrument)
        market.lower_circuit, market.upper_circuit = lower, upper
        market.refill_maker()
        self.journal.write_instrument(market)

    def set_depth(self, instrument: str, quantity: int | None) -> None:
        """Set the maker's quantity per side and price event. Raises Refusal for an unknown instrument."""
        market = self.market(instrument)
        market.set_depth(quantity)
        self.journal.write_instrument(market)
        self._react([market])

    def convert_position(self, *, account: str, instrument: str, side: Side, quantity: int, old: Product, new: Product) -> None:
        """Move part of a net position to another product. Raises Refusal NO_POSITION if there is not that much."""
        holder = self.accounts[account]
        position = holder.positions.get((instrument, old))
        net = 0 if position is None else position.net
        if position is None or quantity <= 0 or quantity > (net if side is Side.BUY else -net):
            raise Refusal(Reason.NO_POSITION)
        price = position.open_value // abs(net)
        with self._operation():
            self.convert(Conversion(account, instrument, old, new, side, quantity, price))

    def keep_gtt(self, gtt: Gtt) -> None:
        """Store a new or changed good-till-triggered order."""
        self.gtts[gtt.trigger_id] = gtt
        self.journal.write_gtt(gtt)
