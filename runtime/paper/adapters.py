"""Paper accounts beside those of brokers: opened by the same call, with our own exchange behind them."""

from collections.abc import Iterable, Sequence
from datetime import date

from redis.asyncio import Redis

from brokers.answers import StatedTime
from brokers.limits import BrokerLimits, Rate
from cache.connection import connect
from cache.prices import PriceCache
from runtime.accounts import Adapters, BrokerNotSupported
from runtime.calendar import make_calendar
from runtime.instruments import InstrumentDirectory, InstrumentsNotLoaded
from runtime.paper.broker import PaperBroker
from runtime.paper.exchange import Market, PaperExchange
from runtime.paper.prices import OpenBroker, PaperPrices
from runtime.settings import Settings
from storage.database import Database
from trading.accounts import BrokerName, Credentials
from trading.instruments import Instrument, InstrumentId
from trading.ports.broker import Broker, BrokerLogin, InstrumentMaster
from trading.ports.clock import Clock
from trading.sessions import TradingCalendar

# A paper account keeps the pace that the rules for retail algorithms allow everywhere, so that nobody rehearses a faster one.
LIMITS = BrokerLimits(
    order_writes=(Rate(8, 1), Rate(200, 60), Rate(5_000, 86_400)),
    documented_order_writes=(Rate(10, 1), Rate(400, 60), Rate(5_000, 86_400)),
    reads=(Rate(10, 1),),
    quotes=(Rate(1, 1),),
    quote_keys=1_000,
    full_quote_keys=500,
    modifications_per_order=20,
    documented_modifications_per_order=25,
    instruments_per_feed=3_000,
    feeds_per_key=1,
    settle_seconds=3.0,
    source="our own rule: as at Zerodha",
    checked_on=date(2026, 11, 21),
)
NO_LOGIN = "a paper account needs no login"
NO_LIST = "a paper account trades what the brokers' lists name"


class PaperParts:
    """What paper accounts of this process share; the exchange is made at the first question."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        instruments: InstrumentDirectory,
        *,
        open_broker: OpenBroker,
        lenders: Sequence[BrokerName],
        clock: Clock,
    ) -> None:
        self.clock = clock
        self._settings = settings
        self._database = database
        self._instruments = instruments
        self._open_broker = open_broker
        self._lenders = lenders
        self._calendar: TradingCalendar | None = None
        self._redis: Redis | None = None
        self._exchange: PaperExchange | None = None

    @property
    def exchange(self) -> PaperExchange:
        if self._exchange is None:
            self._redis = connect(self._settings.redis_url)
            prices = PaperPrices(
                PriceCache(self._redis),
                self._database,
                open_broker=self._open_broker,
                lenders=self._lenders,
                clock=self.clock,
            )
            market = Market(self._find, self._days)
            self._exchange = PaperExchange(self._database, self._redis, prices=prices, market=market, clock=self.clock)
        return self._exchange

    def _find(self, instrument: InstrumentId) -> Instrument | None:
        try:
            return self._instruments.find(instrument)
        except InstrumentsNotLoaded:
            return None

    def _days(self) -> TradingCalendar:
        if self._calendar is None:
            self._calendar = make_calendar(self._settings)
        return self._calendar

    async def close(self) -> None:
        if self._exchange is not None:
            self._exchange.updates.close()
        if self._redis is not None:
            await self._redis.aclose()


class WithPaper:
    """Implements `runtime.accounts.Adapters`: paper accounts are opened here, all others where they always were."""

    def __init__(self, others: Adapters, paper: PaperParts) -> None:
        self._others = others
        self.paper = paper

    def names(self) -> tuple[BrokerName, ...]:
        return (*self._others.names(), BrokerName.PAPER)

    def limits(self, broker: BrokerName) -> BrokerLimits:
        return LIMITS if broker is BrokerName.PAPER else self._others.limits(broker)

    def login(self, broker: BrokerName) -> BrokerLogin:
        if broker is BrokerName.PAPER:
            raise BrokerNotSupported(NO_LOGIN)
        return self._others.login(broker)

    def master(self, broker: BrokerName) -> InstrumentMaster:
        if broker is BrokerName.PAPER:
            raise BrokerNotSupported(NO_LIST)
        return self._others.master(broker)

    def open(self, broker: BrokerName, *, account_id: str, credentials: Credentials) -> Broker:
        if broker is BrokerName.PAPER:
            return PaperBroker(account_id, self.paper.exchange, self.paper.clock)
        return self._others.open(broker, account_id=account_id, credentials=credentials)

    def stated_times(self) -> Iterable[StatedTime]:
        return self._others.stated_times()

    async def close(self) -> None:
        await self.paper.close()
        await self._others.close()
