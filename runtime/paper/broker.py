"""A paper account behind the broker port: the same protocol as everywhere, with our own exchange behind it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from runtime.paper.books import DATABASE_AWAY, Books, NoPaperAccount
from runtime.paper.exchange import PaperExchange
from storage.models import PaperHolding, PaperOrder, PaperTrade
from storage.repositories import paper as repository
from trading.accounts import BrokerName, Environment, Margins, Profile
from trading.instruments import InstrumentId, PriceLimits
from trading.orders import (
    BookSnapshot,
    BrokerHolding,
    BrokerOrder,
    BrokerPosition,
    BrokerTrade,
    ChangeOutcome,
    ModifyRequest,
    OrderRequest,
    PlaceOutcome,
)
from trading.paper import SeenPrice, blocked_cash
from trading.ports.broker import BrokerRefused, BrokerUnavailable, Leisure, MaySend, Tick, TickStream, at_once
from trading.ports.clock import Clock
from trading.sessions import trading_date

# How often a tick stream looks for newer prices (seconds).
TICK_SECONDS = 0.25


@contextmanager
def as_broker_errors() -> Iterator[None]:
    """A database that is away is a broker that does not answer."""
    try:
        yield
    except NoPaperAccount as error:
        raise BrokerRefused(str(error)) from error
    except DATABASE_AWAY as error:
        raise BrokerUnavailable(f"the books of the paper account cannot be read: {type(error).__name__}") from error


class PaperBroker:
    """Never live, never expires, needs no keys. `exchange` is for those who know that it is a paper account."""

    name = BrokerName.PAPER

    def __init__(self, account_id: str, exchange: PaperExchange, clock: Clock) -> None:
        self.account_id = account_id
        self.exchange = exchange
        self._clock = clock

    @property
    def environment(self) -> Literal[Environment.SIMULATED]:
        return Environment.SIMULATED

    def __repr__(self) -> str:
        return f"PaperBroker(account_id={self.account_id!r})"

    async def place(self, order: OrderRequest, *, may_send: MaySend) -> PlaceOutcome:
        return await self.exchange.place(self.account_id, order, may_send=may_send)

    async def modify(self, change: ModifyRequest, *, may_send: MaySend) -> ChangeOutcome:
        return await self.exchange.modify(self.account_id, change, may_send=may_send)

    async def cancel(self, broker_order_id: str, *, may_send: MaySend) -> ChangeOutcome:
        return await self.exchange.cancel(self.account_id, broker_order_id, may_send=may_send)

    async def warm(self, connections: int) -> int:
        """The platform's own connections to its database are open already."""
        return connections

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Books]:
        with as_broker_errors():
            async with self.exchange.reading(self.account_id) as books:
                yield books

    async def orders(self) -> BookSnapshot:
        requested_at = self._clock.monotonic()
        async with self._reading() as books:
            rows = await repository.orders_of_day(books.session, self.account_id, trading_date(books.now))
        return BookSnapshot(tuple(order_of(row) for row in rows), requested_at)

    async def order(self, broker_order_id: str) -> BrokerOrder:
        async with self._reading() as books:
            row = await repository.by_id(books.session, self.account_id, broker_order_id)
        if row is None:
            raise BrokerRefused("there is no such order")
        return order_of(row)

    async def find_by_tag(self, tag: str) -> tuple[BrokerOrder, ...]:
        async with self._reading() as books:
            row = await repository.by_tag(books.session, self.account_id, tag)
        return () if row is None else (order_of(row),)

    async def trades(self) -> tuple[BrokerTrade, ...]:
        async with self._reading() as books:
            rows = await repository.trades_of_day(books.session, self.account_id, trading_date(books.now))
        return tuple(trade_of(row) for row in rows)

    async def positions(self) -> tuple[BrokerPosition, ...]:
        """What is held, and what was traded today and is not held any more."""
        async with self._reading() as books:
            today = trading_date(books.now)
            rows = [
                row for row in await repository.holdings(books.session, self.account_id) if row.quantity or row.traded_on == today
            ]
        seen = await self.exchange.prices.seen({InstrumentId(row.exchange, row.symbol) for row in rows})
        return tuple(position_of(row, seen.get(InstrumentId(row.exchange, row.symbol))) for row in rows)

    async def holdings(self) -> tuple[BrokerHolding, ...]:
        """None: shares stay a position until they are sold."""
        with as_broker_errors():
            await self.exchange.newest_sequence(self.account_id)
        return ()

    async def margins(self) -> Margins:
        """Cash that no open purchase ties up."""
        async with self._reading() as books:
            blocked = blocked_cash(await books.working())
            return Margins(available=books.account.cash - blocked, used=blocked)

    async def profile(self) -> Profile:
        with as_broker_errors():
            await self.exchange.newest_sequence(self.account_id)
        return Profile(broker_user_id=self.account_id, name="Paper account")

    async def validate_credentials(self) -> Profile:
        return await self.profile()

    async def ltp(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Decimal]:
        with as_broker_errors():
            return await self.exchange.prices.last(instruments)

    async def price_limits(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, PriceLimits]:
        """None are known: orders are priced by their band alone."""
        return {}

    @asynccontextmanager
    async def ticks(self) -> AsyncIterator[TickStream]:
        yield PaperTicks(self.exchange, self._clock, self._clock.monotonic())

    @asynccontextmanager
    async def order_updates(self, *, leisure: Leisure = at_once) -> AsyncIterator[AsyncIterator[BrokerOrder]]:
        async with self.exchange.updates.follow(self.account_id) as follower:
            with as_broker_errors():
                sequence = await self.exchange.newest_sequence(self.account_id)

            async def updates(since: int) -> AsyncIterator[BrokerOrder]:
                while True:
                    await follower.wait()
                    await leisure()
                    with as_broker_errors():
                        changed = await self.exchange.changed_since(self.account_id, since)
                    for row in changed:
                        since = row.sequence
                        yield order_of(row)

            yield updates(sequence)


@dataclass(slots=True)
class PaperTicks:
    """Hot prices as a stream: whatever is newer than what was yielded last."""

    exchange: PaperExchange
    clock: Clock
    last_heard_at: float
    _wanted: dict[InstrumentId, datetime | None] = field(default_factory=dict)

    async def subscribe(self, instruments: Iterable[InstrumentId]) -> None:
        for instrument in instruments:
            self._wanted.setdefault(instrument, None)

    async def unsubscribe(self, instruments: Iterable[InstrumentId]) -> None:
        for instrument in instruments:
            self._wanted.pop(instrument, None)

    async def __aiter__(self) -> AsyncIterator[Sequence[Tick]]:
        while True:
            seen = await self.exchange.prices.seen(self._wanted)
            self.last_heard_at = self.clock.monotonic()
            ticks = [self._tick(instrument, price) for instrument, price in seen.items() if self._is_new(instrument, price)]
            if ticks:
                yield ticks
            await asyncio.sleep(TICK_SECONDS)

    def _is_new(self, instrument: InstrumentId, price: SeenPrice) -> bool:
        before = self._wanted.get(instrument)
        return instrument in self._wanted and (before is None or price.at > before)

    def _tick(self, instrument: InstrumentId, price: SeenPrice) -> Tick:
        self._wanted[instrument] = price.at
        return Tick(instrument, price.price, price.at)


def order_of(row: PaperOrder) -> BrokerOrder:
    filled = row.filled_quantity
    return BrokerOrder(
        broker_order_id=row.id,
        tag=row.tag,
        instrument=InstrumentId(row.exchange, row.symbol),
        product=row.product,
        side=row.side,
        quantity=row.quantity,
        filled_quantity=filled,
        price=row.price,
        average_price=row.filled_value / filled if filled else Decimal(0),
        status=row.state,
        message=row.message,
        updated_at=row.changed_at,
        exchange_order_id=row.id,
    )


def trade_of(row: PaperTrade) -> BrokerTrade:
    return BrokerTrade(
        trade_id=row.id,
        broker_order_id=row.order_id,
        instrument=InstrumentId(row.exchange, row.symbol),
        product=row.product,
        side=row.side,
        quantity=row.quantity,
        price=row.price,
        filled_at=row.filled_at,
    )


def position_of(row: PaperHolding, seen: SeenPrice | None) -> BrokerPosition:
    """Without a price now, the average stands in for the last price."""
    average = row.cost / row.quantity if row.quantity else Decimal(0)
    return BrokerPosition(
        instrument=InstrumentId(row.exchange, row.symbol),
        product=row.product,
        net_quantity=row.quantity,
        average_price=average,
        last_price=seen.price if seen else average,
    )
