"""Gathers what `trading/day_readiness.py` judges: from rows, the instrument list, heartbeats, the clock watch, and the broker.

Nothing here changes anything, and nothing raises for a broker, a cache or a price that cannot be read: that is a finding.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from redis.asyncio import Redis
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from activities.trading_day import REPEATS
from cache.connection import CacheUnavailable
from cache.heartbeats import LISTENER, read_beats
from cache.prices import PriceCache
from runtime.accounts import BrokerAccounts
from runtime.public_address import PublicAddress
from runtime.settings import Settings
from storage.database import Database
from storage.models import BrokerAccount, Run, Strategy
from storage.repositories.strategies import plan_of
from trading.day_readiness import Address, Check, CheckState, Facts, Feed, Login, Planned, Verdict, judge, verdict_of
from trading.instruments import InstrumentId
from trading.plan import Repeat
from trading.ports.broker import Broker, BrokerError, BrokerRefused, SessionExpired
from trading.ports.clock import Clock
from trading.ports.sealing import SealBroken
from trading.runs import RunState
from trading.schedule import window_on
from trading.sessions import ExchangeDay, NoTradingDay, TradingCalendar, instant, upcoming_days

# The broker is asked twice at most; slower than this it has not answered.
BROKER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """Of one account for one trading day."""

    day: date
    verdict: Verdict
    planned: int
    checks: tuple[Check, ...]

    @property
    def needs_login(self) -> bool:
        return any(check.name == "login" and check.state is CheckState.FAILED for check in self.checks)


@dataclass(frozen=True, slots=True)
class _Answers:
    login: Login
    funds: Decimal | None = None
    broker: Broker | None = None


class DayReadiness:
    """`clock_error`: how wrong this machine's clock is shown to be, in words; empty when it is not."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        redis: Redis,
        accounts: BrokerAccounts,
        calendar: TradingCalendar,
        clock: Clock,
        clock_error: Callable[[], str],
    ) -> None:
        self._registered_ip = settings.registered_ip
        self._address = PublicAddress(settings)
        self._database = database
        self._redis = redis
        self._accounts = accounts
        self._calendar = calendar
        self._clock = clock
        self._clock_error = clock_error

    def day(self) -> ExchangeDay:
        """Today while its session has not ended, else the next trading day. Raises NoTradingDay, UnknownDay."""
        now = self._clock.now()
        for exchange_day in upcoming_days(now, self._calendar):
            if now <= instant(exchange_day.day, exchange_day.closes):
                return exchange_day
        raise NoTradingDay("the calendar shows no trading day in the coming weeks")

    async def look(self, account: BrokerAccount, exchange_day: ExchangeDay) -> Readiness:
        """One account, now."""
        answers = await self._ask(account)
        async with self._database.transaction() as session:
            planned = await self._planned(session, account, exchange_day)
        facts = Facts(
            day=exchange_day.day,
            environment=account.environment,
            planned=await self._priced(planned, answers.broker),
            login=answers.login,
            instruments_of=self._accounts.instruments.listed_on,
            feed=await self._feed(),
            clock_error=self._clock_error(),
            address=Address(self._registered_ip, await self._address.seen()),
            funds=answers.funds,
        )
        checks = judge(facts)
        return Readiness(exchange_day.day, verdict_of(facts, checks), len(planned), checks)

    async def _ask(self, account: BrokerAccount) -> _Answers:
        """One read tells both whether the login works and what is available."""
        if account.sealed_access_token is None:
            return _Answers(Login(False, None, False))
        try:
            broker = self._accounts.broker_of(account)
            async with asyncio.timeout(BROKER_SECONDS):
                margins = await broker.margins()
        except (SessionExpired, BrokerRefused):
            return _Answers(Login(True, account.token_expires_at, False))
        except SealBroken:
            return _Answers(Login(False, None, False))
        except (BrokerError, LookupError, OSError, TimeoutError) as error:
            return _Answers(Login(True, account.token_expires_at, None, type(error).__name__))
        return _Answers(Login(True, account.token_expires_at, True), margins.available, broker)

    async def _planned(
        self, session: AsyncSession, account: BrokerAccount, exchange_day: ExchangeDay
    ) -> list[tuple[InstrumentId, Planned]]:
        """Runs of that day that are not over, and repeating strategies that get one in the morning."""
        todays = (Run.account_id == account.id, Run.trading_day == exchange_day.day)
        runs = await session.scalars(select(Run).where(*todays, Run.state != RunState.ENDED).order_by(Run.id))
        planned = [(InstrumentId(run.exchange, run.symbol), self._of_run(run)) for run in runs]
        without = select(Strategy).where(
            Strategy.account_id == account.id,
            Strategy.repeat == Repeat.DAILY,
            Strategy.state.in_(REPEATS),
            Strategy.deleted_at.is_(None),
            ~exists().where(Run.strategy_id == Strategy.id, Run.trading_day == exchange_day.day),
        )
        for strategy in await session.scalars(without.order_by(Strategy.id)):
            planned.append((InstrumentId(strategy.exchange, strategy.symbol), self._of_strategy(strategy, exchange_day)))
        return planned

    def _of_run(self, run: Run) -> Planned:
        return Planned(
            strategy_id=run.strategy_id,
            symbol=run.symbol,
            product=run.product,
            quantity=run.quantity,
            stop_loss=run.stop_loss,
            sells_at=run.sell_at,
            has_bought=run.bought > 0,
            is_listed=self._is_listed(InstrumentId(run.exchange, run.symbol)),
        )

    def _of_strategy(self, strategy: Strategy, exchange_day: ExchangeDay) -> Planned:
        plan = plan_of(strategy)
        listed = self._accounts.instruments.count > 0
        instrument = self._accounts.instruments.find(plan.instrument) if listed else None
        sells_at: datetime = instant(exchange_day.day, plan.sell_time)
        if instrument is not None:
            sells_at = window_on(plan, instrument=instrument, exchange_day=exchange_day).sell_at
        return Planned(
            strategy_id=strategy.id,
            symbol=strategy.symbol,
            product=strategy.product,
            quantity=strategy.quantity,
            stop_loss=strategy.stop_loss,
            sells_at=sells_at,
            is_listed=self._is_listed(plan.instrument),
        )

    def _is_listed(self, wanted: InstrumentId) -> bool | None:
        instruments = self._accounts.instruments
        return instruments.find(wanted) is not None if instruments.count else None

    async def _priced(self, planned: Sequence[tuple[InstrumentId, Planned]], broker: Broker | None) -> list[Planned]:
        prices = await self._prices({wanted for wanted, plan in planned if not plan.has_bought}, broker)
        return [replace(plan, last_price=prices.get(wanted)) for wanted, plan in planned]

    async def _prices(self, wanted: set[InstrumentId], broker: Broker | None) -> Mapping[InstrumentId, Decimal]:
        """Followed ones from the cache, the others from the broker: before the open that is yesterday's last price."""
        try:
            prices = {one: hot.price for one, hot in (await PriceCache(self._redis).read(wanted)).items()}
        except CacheUnavailable:
            prices = {}
        missing = sorted(wanted - prices.keys())
        if not missing or broker is None:
            return prices
        try:
            async with asyncio.timeout(BROKER_SECONDS):
                return {**await broker.ltp(missing), **prices}
        except (BrokerError, OSError, TimeoutError):
            return prices

    async def _feed(self) -> Feed:
        try:
            beat = (await read_beats(self._redis, LISTENER)).get(LISTENER)
        except CacheUnavailable:
            return Feed(None, "Redis does not answer")
        if beat is None:
            return Feed(False, "no listener is alive")
        return Feed(bool(beat.data.get("connected")), str(beat.data.get("trouble") or "no account's feed is connected"))
