"""One paper account in one transaction, its row locked: every change of its orders, cash and holdings is made here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import PaperAccount, PaperHolding, PaperOrder, PaperTrade
from storage.repositories import paper as repository
from trading.instruments import InstrumentId, Product
from trading.orders import BrokerOrderStatus, OrderRequest, Side
from trading.paper import (
    Means,
    OpenHours,
    PaperFill,
    PaperPosition,
    PaperRules,
    Resting,
    SeenPrice,
    Working,
    fill_of,
)
from trading.ports.clock import Clock
from trading.sessions import trading_date

PAISA = Decimal("0.01")
DATABASE_AWAY = (SQLAlchemyError, OSError, TimeoutError)
SESSION_ENDED = "the session has ended: a day order dies with it"


class NoPaperAccount(LookupError):
    """There is no paper account with that id."""


@dataclass(slots=True)
class Books:
    """The account's books while its row is locked. `changed`: whether an order has changed in this transaction."""

    session: AsyncSession
    account: PaperAccount
    now: datetime
    changed: bool = field(default=False, init=False)

    @classmethod
    async def open(cls, session: AsyncSession, account_id: str, clock: Clock) -> "Books":
        """Raises NoPaperAccount."""
        account = await repository.lock(session, account_id)
        if account is None:
            raise NoPaperAccount(f"no paper account {account_id}")
        return cls(session, account, clock.now())

    @property
    def rules(self) -> PaperRules:
        return PaperRules(self.account.slippage_percent, self.account.largest_fill)

    async def means(self, instrument: InstrumentId, product: Product, *, without: PaperOrder | None = None) -> Means:
        held = await repository.holding(self.session, self.account.account_id, instrument, product)
        return Means(self.account.cash, await self.working(without=without), held.quantity if held else 0)

    async def working(self, *, without: PaperOrder | None = None) -> tuple[Working, ...]:
        """The open orders, but for that one."""
        orders = await repository.open_orders(self.session, self.account.account_id)
        return tuple(_working(order) for order in orders if order is not without)

    async def add(self, order: OrderRequest, hours: OpenHours, tick_size: Decimal) -> PaperOrder:
        row = PaperOrder(
            account_id=self.account.account_id,
            tag=order.tag,
            trading_day=trading_date(self.now),
            exchange=order.instrument.exchange,
            symbol=order.instrument.symbol,
            product=order.product,
            side=order.side,
            quantity=order.quantity,
            price=order.price,
            tick_size=tick_size,
            filled_quantity=0,
            filled_value=Decimal(0),
            state=BrokerOrderStatus.OPEN,
            message="",
            opens_at=hours.opens,
            expires_at=hours.ends,
        )
        self._stamp(row)
        self.session.add(row)
        await self.session.flush()
        return row

    async def settle(self, prices: Mapping[InstrumentId, SeenPrice]) -> None:
        """Open orders meet the prices, oldest first; those whose session is over end."""
        for order in await repository.open_orders(self.session, self.account.account_id):
            if order.expires_at <= self.now:
                self.end(order, SESSION_ENDED)
            else:
                await self.meet(order, prices)
        await self.session.flush()

    async def meet(self, order: PaperOrder, prices: Mapping[InstrumentId, SeenPrice]) -> None:
        """Fill what the newest price of its instrument fills."""
        seen = prices.get(InstrumentId(order.exchange, order.symbol))
        if seen is None:
            return
        hours = OpenHours(order.opens_at, order.expires_at)
        fill = fill_of(resting(order), seen, rules=self.rules, hours=hours, tick_size=order.tick_size, now=self.now)
        if fill is not None:
            await self.book(order, fill, seen)

    async def book(self, order: PaperOrder, fill: PaperFill, seen: SeenPrice) -> None:
        """One execution: the trade, the order, the cash and the holding, together or not at all."""
        instrument = InstrumentId(order.exchange, order.symbol)
        held = await repository.holding(self.session, self.account.account_id, instrument, order.product)
        if held is None:
            held = self._new_holding(order)
        position = PaperPosition(held.quantity, held.cost, held.realised).after(order.side, fill)
        held.quantity, held.cost, held.realised = position.quantity, position.cost, position.realised
        held.traded_on = trading_date(self.now)
        self.account.cash += fill.value if order.side is Side.SELL else -fill.value
        order.filled_quantity += fill.quantity
        order.filled_value += fill.value
        order.filled_on = seen.at
        if order.filled_quantity == order.quantity:
            order.state = BrokerOrderStatus.COMPLETE
        self.session.add(_trade(order, fill, seen, now=self.now))
        self._stamp(order)
        await self.session.flush()

    def end(self, order: PaperOrder, message: str) -> None:
        order.state, order.message = BrokerOrderStatus.CANCELLED, message
        self._stamp(order)

    def change(self, order: PaperOrder, *, quantity: int, price: Decimal) -> None:
        order.quantity, order.price = quantity, price
        self._stamp(order)

    def _stamp(self, order: PaperOrder) -> None:
        self.account.sequence += 1
        order.sequence, order.changed_at = self.account.sequence, self.now
        self.changed = True

    def _new_holding(self, order: PaperOrder) -> PaperHolding:
        row = PaperHolding(
            account_id=self.account.account_id,
            exchange=order.exchange,
            symbol=order.symbol,
            product=order.product,
            quantity=0,
            cost=Decimal(0),
            realised=Decimal(0),
            traded_on=trading_date(self.now),
        )
        self.session.add(row)
        return row

    async def start_again(self, *, cash: Decimal, rules: PaperRules) -> None:
        """End what is open, give back what is held, at its cost, in a trade that everybody can see, and begin with that cash."""
        for order in await repository.open_orders(self.session, self.account.account_id):
            self.end(order, "the account was reset")
        for held in await repository.holdings(self.session, self.account.account_id):
            if held.quantity:
                await self._give_back(held)
            held.realised = Decimal(0)
        account = self.account
        account.starting_cash = account.cash = cash
        account.slippage_percent, account.largest_fill = rules.slippage_percent, rules.largest_fill
        account.reset_at = self.now
        await self.session.flush()

    async def _give_back(self, held: PaperHolding) -> None:
        price = (held.cost / held.quantity).quantize(PAISA)
        order = PaperOrder(
            account_id=held.account_id,
            tag=None,
            trading_day=trading_date(self.now),
            exchange=held.exchange,
            symbol=held.symbol,
            product=held.product,
            side=Side.SELL,
            quantity=held.quantity,
            price=price,
            tick_size=PAISA,
            filled_quantity=0,
            filled_value=Decimal(0),
            state=BrokerOrderStatus.OPEN,
            message="the account was reset",
            opens_at=self.now,
            expires_at=self.now,
        )
        self._stamp(order)
        self.session.add(order)
        await self.session.flush()
        await self.book(order, PaperFill(held.quantity, price), SeenPrice(price, self.now))


def resting(order: PaperOrder) -> Resting:
    return Resting(order.side, order.price, order.quantity, order.filled_quantity, order.filled_on)


def _working(order: PaperOrder) -> Working:
    return Working(InstrumentId(order.exchange, order.symbol), order.product, resting(order))


def _trade(order: PaperOrder, fill: PaperFill, seen: SeenPrice, *, now: datetime) -> PaperTrade:
    return PaperTrade(
        account_id=order.account_id,
        order_id=order.id,
        trading_day=trading_date(now),
        exchange=order.exchange,
        symbol=order.symbol,
        product=order.product,
        side=order.side,
        quantity=fill.quantity,
        price=fill.price,
        price_seen=seen.price,
        seen_at=seen.at,
        filled_at=now,
    )
