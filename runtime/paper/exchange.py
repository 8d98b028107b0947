"""What stands behind every paper account: takes orders, matches them with the prices seen, and shows its books.

Any number of processes may do all of it at once: whatever changes an account, and whatever concludes something from its books,
holds the account's row. So an order that is being written is waited for by whoever looks for it, and a price fills it once.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from redis.asyncio import Redis

from runtime.paper.books import DATABASE_AWAY, Books, NoPaperAccount
from runtime.paper.prices import PaperPrices
from runtime.paper.updates import PaperUpdates, tell_changed
from storage.database import Database
from storage.models import PaperOrder
from storage.repositories import paper as repository
from trading.instruments import Instrument, InstrumentId
from trading.orders import (
    Accepted,
    BrokerOrderStatus,
    ChangeOutcome,
    ModifyRequest,
    OrderRequest,
    Placed,
    PlaceOutcome,
    RefusalKind,
    Refused,
    Unknown,
)
from trading.paper import MARKET_CLOSED, OpenHours, Resting, refusal_of, refusal_of_means, wrong_price
from trading.ports.broker import MaySend
from trading.ports.clock import Clock
from trading.sessions import TradingCalendar, UnknownDay, instant, session_of, trading_date

TOO_LATE = Refused(RefusalKind.NOT_SENT, "it was too late to send it")
NO_SUCH_ORDER = Refused(RefusalKind.INPUT, "there is no such order")


@dataclass(frozen=True, slots=True)
class Market:
    """`find` looks an instrument up, None while it is not listed; `calendar` is opened at the first question."""

    find: Callable[[InstrumentId], Instrument | None]
    calendar: Callable[[], TradingCalendar]

    def hours(self, instrument: Instrument, now: datetime) -> OpenHours | None:
        """Of today. None: the exchange is closed all day, or its calendar does not know the day."""
        today = trading_date(now)
        try:
            exchange_day = self.calendar().day(today)
        except UnknownDay:
            return None
        if exchange_day is None:
            return None
        session = session_of(instrument, exchange_day)
        return OpenHours(instant(today, session.opens), instant(today, session.continuous_ends))


class PaperExchange:
    """One per process."""

    def __init__(self, database: Database, redis: Redis, *, prices: PaperPrices, market: Market, clock: Clock) -> None:
        self.prices = prices
        self.updates = PaperUpdates(redis)
        self._database = database
        self._redis = redis
        self._market = market
        self._clock = clock

    # --- writes -------------------------------------------------------------------------------------------------------

    async def place(self, account_id: str, order: OrderRequest, *, may_send: MaySend) -> PlaceOutcome:
        """A tag that is there already is that order: nothing is placed twice, however often it is sent."""
        seen = await self.prices.seen([order.instrument])
        outcome: PlaceOutcome | None = None
        try:
            async with self._database.transaction() as session:
                books = await Books.open(session, account_id, self._clock)
                known = await repository.by_tag(session, account_id, order.tag)
                outcome = Placed(known.id) if known else await self._take(books, order, may_send)
                if isinstance(outcome, Placed) and not known:
                    await books.settle(seen)
        except NoPaperAccount as error:
            return Refused(RefusalKind.PERMISSION, str(error))
        except DATABASE_AWAY as error:
            return _unsure(outcome, error)
        if isinstance(outcome, Placed):
            await tell_changed(self._redis, [account_id])
        return outcome

    async def _take(self, books: Books, order: OrderRequest, may_send: MaySend) -> PlaceOutcome:
        instrument = self._market.find(order.instrument)
        if instrument is None:
            return Refused(RefusalKind.INPUT, f"{order.instrument} is not listed")
        hours = self._market.hours(instrument, books.now)
        if hours is None:
            return MARKET_CLOSED
        means = await books.means(order.instrument, order.product)
        refused = refusal_of(order, instrument=instrument, hours=hours, means=means, now=books.now)
        if refused is not None:
            return refused
        if not may_send():
            return TOO_LATE
        return Placed((await books.add(order, hours, instrument.tick_size)).id)

    async def modify(self, account_id: str, change: ModifyRequest, *, may_send: MaySend) -> ChangeOutcome:
        """The order with its new quantity and price meets the newest price at once, as a new one would."""

        async def act(books: Books, order: PaperOrder) -> ChangeOutcome:
            refused = await self._refusal_of_change(books, order, change)
            if refused is not None:
                return refused
            if not may_send():
                return TOO_LATE
            books.change(order, quantity=change.quantity, price=change.price)
            return Accepted()

        return await self._change(account_id, change.broker_order_id, act)

    async def cancel(self, account_id: str, broker_order_id: str, *, may_send: MaySend) -> ChangeOutcome:
        async def act(books: Books, order: PaperOrder) -> ChangeOutcome:
            if not may_send():
                return TOO_LATE
            books.end(order, "cancelled")
            return Accepted()

        return await self._change(account_id, broker_order_id, act)

    async def _change(
        self, account_id: str, order_id: str, act: Callable[[Books, PaperOrder], Awaitable[ChangeOutcome]]
    ) -> ChangeOutcome:
        outcome: ChangeOutcome | None = None
        changed = False
        try:
            seen = await self.prices.seen(await self._open_instruments(account_id))
            async with self._database.transaction() as session:
                books = await Books.open(session, account_id, self._clock)
                await books.settle({})
                order = await repository.by_id(session, account_id, order_id)
                if order is None:
                    return NO_SUCH_ORDER
                if order.state is not BrokerOrderStatus.OPEN:
                    outcome = Refused(RefusalKind.GONE, f"the order is {order.state.value} already")
                else:
                    outcome = await act(books, order)
                    await books.settle(seen)
                changed = books.changed
        except NoPaperAccount as error:
            return Refused(RefusalKind.PERMISSION, str(error))
        except DATABASE_AWAY as error:
            return _unsure(outcome, error)
        if changed:
            await tell_changed(self._redis, [account_id])
        return outcome

    async def _refusal_of_change(self, books: Books, order: PaperOrder, change: ModifyRequest) -> Refused | None:
        instrument = InstrumentId(order.exchange, order.symbol)
        listed = self._market.find(instrument)
        wrong = None if listed is None else wrong_price(change.price, listed)
        if change.quantity <= order.filled_quantity:
            wrong = f"{order.filled_quantity} are filled already"
        if wrong is not None:
            return Refused(RefusalKind.INPUT, wrong)
        wanted = Resting(order.side, change.price, change.quantity, order.filled_quantity)
        return refusal_of_means(instrument, order.product, wanted, await books.means(instrument, order.product, without=order))

    # --- reads --------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def reading(self, account_id: str) -> AsyncIterator[Books]:
        """The account's books after its open orders have met the newest prices. Raises NoPaperAccount, what the database raises.

        Under the account's lock: an order that somebody is writing at this moment is in them.
        """
        instruments = await self._open_instruments(account_id)
        seen = await self.prices.seen(instruments) if instruments else {}
        async with self._database.transaction() as session:
            books = await Books.open(session, account_id, self._clock)
            await books.settle(seen)
            yield books
        if books.changed:
            await tell_changed(self._redis, [account_id])

    async def _open_instruments(self, account_id: str) -> set[InstrumentId]:
        async with self._database.transaction() as session:
            orders = await repository.open_orders(session, account_id)
        return {InstrumentId(order.exchange, order.symbol) for order in orders}

    async def changed_since(self, account_id: str, sequence: int) -> Sequence[PaperOrder]:
        async with self._database.transaction() as session:
            return await repository.changed_since(session, account_id, sequence)

    async def newest_sequence(self, account_id: str) -> int:
        async with self._database.transaction() as session:
            return (await Books.open(session, account_id, self._clock)).account.sequence


def _unsure(outcome: PlaceOutcome | ChangeOutcome | None, error: Exception) -> Refused | Unknown:
    """The database went away. Before the last statement nothing has happened; at the commit itself nobody can tell."""
    if isinstance(outcome, Placed | Accepted):
        return Unknown(f"the database went away while the order was written: {type(error).__name__}")
    return Refused(RefusalKind.NOT_SENT, f"the database is away: {type(error).__name__}")
