"""One paper account on a real database and Redis, in a market whose clock and prices a test holds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count

from redis.asyncio import Redis
from sqlalchemy import select

from cache.prices import HotPrice, PriceCache
from runtime.paper.broker import PaperBroker
from runtime.paper.exchange import Market, PaperExchange
from runtime.paper.matching import PaperMatching
from runtime.paper.prices import OpenBroker, PaperPrices
from storage.database import Database
from storage.models import BrokerAccount, PaperAccount, PaperTrade
from tests.unit.trading.samples import FRIDAY, SHARE, ListedDays, at, regular
from trading.accounts import BrokerName
from trading.instruments import InstrumentId, Product
from trading.orders import BrokerOrder, OrderRequest, Placed, Side

TCS = SHARE.id
OPEN = at(FRIDAY, 10)


def yes() -> bool:
    return True


def no() -> bool:
    return False


@dataclass
class HeldClock:
    """Time moves when a test says so."""

    moment: datetime = OPEN
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.seconds += seconds


async def nobody(account_id: str) -> "PaperBroker":
    raise LookupError(f"nobody lends {account_id}")


@dataclass
class PaperWorld:
    database: Database
    redis: Redis
    account: BrokerAccount
    clock: HeldClock = field(default_factory=HeldClock)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def exchange(
        self, *, database: Database | None = None, redis: Redis | None = None, lend: OpenBroker = nobody
    ) -> PaperExchange:
        """As each process has one."""
        prices = PaperPrices(
            PriceCache(redis or self.redis),
            self.database,
            open_broker=lend,
            lenders=[BrokerName.ZERODHA],
            clock=self.clock,
        )
        market = Market({TCS: SHARE}.get, lambda: ListedDays({FRIDAY: regular(FRIDAY)}))
        return PaperExchange(database or self.database, redis or self.redis, prices=prices, market=market, clock=self.clock)

    def broker(self, exchange: PaperExchange | None = None) -> PaperBroker:
        return PaperBroker(self.account.id, exchange or self.exchange(), self.clock)

    def matching(self) -> PaperMatching:
        return PaperMatching(self.database, self.redis, self.clock)

    async def price(self, price: str, *, age: float = 0.0, instrument: InstrumentId = TCS) -> None:
        """What the listener would have written down."""
        seen = HotPrice(Decimal(price), self.clock.now() - timedelta(seconds=age))
        await PriceCache(self.redis).write({instrument: seen})

    def order(
        self,
        *,
        side: Side = Side.BUY,
        quantity: int = 10,
        price: str = "3500",
        product: Product = Product.MIS,
        instrument: InstrumentId = TCS,
    ) -> OrderRequest:
        return OrderRequest(f"t325b01paper{next(self._numbers):05d}", instrument, product, side, quantity, Decimal(price))

    async def place(self, request: OrderRequest) -> BrokerOrder:
        """Place an order that must be taken; how the book shows it."""
        outcome = await self.broker().place(request, may_send=yes)
        assert isinstance(outcome, Placed), outcome
        return await self.broker().order(outcome.broker_order_id)

    async def rules(self, **changes: object) -> None:
        """Change the account's row."""
        async with self.database.transaction() as session:
            row = (await session.scalars(select(PaperAccount))).one()
            for name, value in changes.items():
                setattr(row, name, value)

    async def stored(self) -> PaperAccount:
        async with self.database.transaction() as session:
            return (await session.scalars(select(PaperAccount))).one()

    async def trades(self) -> Sequence[PaperTrade]:
        async with self.database.transaction() as session:
            return (await session.scalars(select(PaperTrade).order_by(PaperTrade.filled_at, PaperTrade.id))).all()
