"""Everything that trades, for one test: a simulated exchange, the stores, a floor with desks, and a Temporal worker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from redis.asyncio import Redis
from sqlalchemy import select
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.messages import StopLossHit, StrategyResult, TargetHit
from cache.channels import StopCrossed, publish_stops
from cache.connection import connect
from cache.prices import HotPrice, PriceCache
from execution.floor import Floor
from execution.rush import Rush
from execution.starting import create_run, strategy_input
from runtime.accounts import BrokerAccounts
from runtime.brokers import open_accounts
from runtime.calendar import AlwaysOpen
from runtime.clock import SystemClock
from runtime.guard import Guard
from runtime.instruments import load_master
from runtime.metrics import PrometheusMetrics, Reading
from runtime.settings import Settings
from runtime.temporal_worker import make_worker
from runtime.trading import TradingRoom, open_trading_room
from simulator.testing import RunningSimulator, running_simulator
from storage.database import ANSWER_TIMEOUT_SECONDS, Database
from storage.models import BrokerAccount, FillRow, Order, Run, RunEvent, Strategy, User
from tests.contract.world import credentials_of
from tests.waiting import DEADLINE_SECONDS
from trading.accounts import BrokerName, Environment
from trading.instruments import InstrumentId, Product
from trading.lead import Lead
from trading.ports.clock import Clock
from trading.runs import ExitReason
from trading.schedule import RunWindow
from trading.sessions import trading_date
from workflows import names
from workflows.strategy import StrategyWorkflow
from workflows.trading_day import search_attributes

AES_KEY = "test:" + "A" * 43 + "="
NO_LEAD = Lead(base_seconds=1.0, jitter_seconds=0.0, deadline_seconds=20.0)


def settings_for(
    sim: RunningSimulator,
    *,
    database_url: str,
    redis_url: str,
    task_queue: str,
    brokers: Sequence[BrokerName] = (BrokerName.ZERODHA,),
    **changes: Any,
) -> Settings:
    """Settings of a process that trades at the simulator, with short times."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "redis_url": redis_url,
        "task_queue": task_queue,
        **{f"{name.value}_{kind}": url for name in brokers for kind, url in sim.urls(name.value).items()},
        "aes_master_keys": AES_KEY,
        "market_calendar": "always_open",
        "settle_time_seconds": 0.4,
        "broker_timeout_seconds": 0.8,
        "max_cached_workflows": 200,
        "max_concurrent_activities": 200,
        "log_level": "warning",
    }
    return Settings(**{**values, **changes}, _env_file=None)


@dataclass
class World:
    sim: RunningSimulator
    settings: Settings
    database: Database
    redis: Redis
    client: Client
    accounts: BrokerAccounts
    room: TradingRoom
    clock: Clock
    lead: Lead = NO_LEAD
    _workers: list[Worker] = field(default_factory=list)

    @property
    def floor(self) -> Floor:
        return self.room.floor

    @property
    def lead_of_desks(self) -> Lead:
        """Without the desks' head start workflows wake at the very instant."""
        return replace(self.lead, desks_fire=self.settings.desk_head_start)

    # --- people and plans ---------------------------------------------------------------------------------------------

    async def add_account(
        self, name: str = "alice", *, broker: BrokerName = BrokerName.ZERODHA, **simulated: Any
    ) -> BrokerAccount:
        """A user with an account `sim-<name>`, logged in through that broker's dialect."""
        known = self.sim.account(name, dialect=broker.value, **simulated)
        user = User(email=f"{name}@example.org", password_hash="-")
        account = BrokerAccount(
            user_id=user.id,
            broker=broker,
            environment=Environment.SIMULATED,
            broker_user_id=known.user_id,
            session_version=1,
            session_started_at=self.clock.now(),
        )
        self.accounts.seal(account, credentials_of(known))
        async with self.database.transaction() as session:
            session.add(user)
            await session.flush()
            session.add(account)
        return account

    async def log_in_again(self, account: BrokerAccount, name: str = "alice") -> None:
        """A person logs in: the row gets the new session, as the API would write it."""
        known = self.sim.account(name, dialect=account.broker.value)
        async with self.database.transaction() as session:
            row = await session.get_one(BrokerAccount, account.id)
            self.accounts.seal(row, credentials_of(known))
            row.session_version += 1
            row.session_started_at = self.clock.now()

    async def start_run(
        self,
        account: BrokerAccount,
        *,
        symbol: str = "TCS",
        quantity: int = 10,
        stop_loss: str = "3500",
        buy_in: float = 0.3,
        sell_in: float = 3600.0,
        hand_over_in: float = 7200.0,
        product: Product = Product.MIS,
        start_workflow: bool = True,
        max_lateness_seconds: int | None = None,
        trading_day: date | None = None,
        exchange: str = "NSE",
        **plan: Any,
    ) -> Run:
        """A run whose instants are that many seconds from now, with its workflow. `plan`: other columns of the strategy."""
        now = self.clock.now()
        buy_at, sell_at, hand_over_at = (now + timedelta(seconds=span) for span in (buy_in, sell_in, hand_over_in))
        window = RunWindow(trading_day or trading_date(now), buy_at, sell_at, hand_over_at)
        strategy = Strategy(
            user_id=account.user_id,
            account_id=account.id,
            exchange=exchange,
            symbol=symbol,
            product=product,
            quantity=quantity,
            buy_time=time(9, 30),
            sell_time=time(15, 0),
            stop_loss=Decimal(stop_loss),
            max_lateness_seconds=max_lateness_seconds,
            **plan,
        )
        async with self.database.transaction() as session:
            session.add(strategy)
            await session.flush()
            run = await create_run(
                session,
                strategy=strategy,
                account=account,
                window=window,
                starts_now=False,
                workflow_id=names.strategy_workflow_id(strategy.id, window.trading_day),
                started_by=account.user_id,
            )
        if start_workflow:
            await self.start_workflow(run)
        return run

    async def start_workflow(self, run: Run) -> WorkflowHandle[StrategyWorkflow, StrategyResult]:
        plan = strategy_input(run, self.lead_of_desks)
        return await self.client.start_workflow(
            StrategyWorkflow.run,
            plan,
            id=run.workflow_id,
            task_queue=self.settings.task_queue,
            search_attributes=search_attributes(plan),
        )

    def workflow(self, run: Run) -> WorkflowHandle[Any, StrategyResult]:
        return self.client.get_workflow_handle(run.workflow_id, result_type=StrategyResult)

    async def result(self, run: Run) -> StrategyResult:
        """How the run ended; fails with its timeline and its orders when it does not end."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await self.workflow(run).result()
        except TimeoutError:
            orders = [
                f"{o.leg.value} {o.attempt} {o.state.value} {o.filled_quantity}/{o.quantity} {o.message}"
                for o in await self.orders(run.id)
            ]
            raise AssertionError("\n".join(["the run does not end", *await self.timeline(run.id), *orders])) from None

    def guard(self, rush: Rush | None = None) -> Guard:
        return Guard(
            database=self.database,
            client=self.client,
            clock=self.clock,
            lead=self.lead_of_desks,
            task_queue=self.settings.task_queue,
            rush=rush or self.room.tools.rush,
        )

    # --- market -------------------------------------------------------------------------------------------------------

    async def price(self, symbol: str, price: str, *, exchange: str = "NSE") -> None:
        """Set the price at the exchange, and the hot price as the listener would."""
        self.sim.set_price(f"{exchange}:{symbol}", price)
        await PriceCache(self.redis).write({InstrumentId(exchange, symbol): HotPrice(Decimal(price), self.clock.now())})

    async def cross_stop(self, run: Run, price: str, *, publish: bool = True, signal: bool = True) -> None:
        """What the listener does when a price is at or below a stop: tell the desks, then the workflow."""
        await self.price(run.symbol, price, exchange=run.exchange)
        if publish:
            now, trigger = self.clock.now(), f"{run.id}-{run.stop_version}"
            crossed = StopCrossed(run.id, run.account_id, run.stop_version, Decimal(price), now, trigger)
            await publish_stops(self.redis, [crossed])
        if signal:
            await self.stop_signal(run, price)

    async def cross_target(self, run: Run, price: str, *, publish: bool = True, signal: bool = True) -> None:
        """As `cross_stop`, for a price at or above the target."""
        await self.price(run.symbol, price, exchange=run.exchange)
        now, trigger = self.clock.now(), f"{run.id}-{run.stop_version}"
        if publish:
            crossed = StopCrossed(run.id, run.account_id, run.stop_version, Decimal(price), now, trigger, ExitReason.TARGET)
            await publish_stops(self.redis, [crossed])
        if signal:
            hit = TargetHit(run.symbol, Decimal(price), run.stop_version, trigger, now)
            await self.workflow(run).signal(names.TARGET_HIT, hit)

    async def stop_signal(self, run: Run, price: str) -> None:
        """Only the signal, as the listener sends it when Redis is away."""
        hit = StopLossHit(run.symbol, Decimal(price), run.stop_version, f"{run.id}-{run.stop_version}", self.clock.now())
        await self.workflow(run).signal(names.STOP_LOSS_HIT, hit)

    # --- looking ------------------------------------------------------------------------------------------------------

    async def run(self, run_id: str) -> Run:
        async with self.database.transaction() as session:
            return await session.get_one(Run, run_id)

    async def orders(self, run_id: str) -> list[Order]:
        async with self.database.transaction() as session:
            return list(await session.scalars(select(Order).where(Order.run_id == run_id).order_by(Order.id)))

    async def fills(self, run_id: str) -> list[FillRow]:
        async with self.database.transaction() as session:
            return list(await session.scalars(select(FillRow).where(FillRow.run_id == run_id).order_by(FillRow.id)))

    async def timeline(self, run_id: str) -> list[str]:
        async with self.database.transaction() as session:
            rows = await session.scalars(select(RunEvent).where(RunEvent.run_id == run_id).order_by(RunEvent.sequence))
            return [f"{event.kind}: {event.message}" for event in rows]

    async def until(
        self, run_id: str, check: Callable[[Run, list[Order]], object], what: str, *, seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Wait for rows; fails with the timeline when they do not come."""
        found = await self.room.watch.until(run_id, lambda run, orders: check(run, orders) or None, timeout=seconds)
        assert found, f"not within {seconds:.0f} s: {what}\n" + "\n".join(await self.timeline(run_id))

    async def until_holding(self, run: Run) -> None:
        """Bought, and covered by an armed exit."""
        await self.until(
            run.id,
            lambda row, orders: row.bought == row.quantity and any(o.leg == "exit" and o.state == "armed" for o in orders),
            "bought and covered",
        )

    def requests(self, action: str, name: str = "alice") -> list[dict[str, Any]]:
        """The exchange's own log of order requests of that account: place, modify or cancel."""
        return [row for row in self.sim.log.since(0, action=action, account=f"sim-{name}") if row.get("via_api", True)]

    def readings(self, metric: str) -> list[tuple[Mapping[str, str], Reading]]:
        """What this worker has measured."""
        metrics = self.room.tools.metrics
        assert isinstance(metrics, PrometheusMetrics)
        return list(metrics.readings(metric))

    def sides(self, name: str = "alice") -> list[str]:
        """What was placed, in order of arrival."""
        return [row["parameters"]["transaction_type"] for row in self.requests("place", name)]


@asynccontextmanager
async def trading_world(
    *,
    database_url: str,
    redis_url: str,
    client: Client,
    task_queue: str,
    clock: Clock | None = None,
    with_worker: bool = True,
    with_desks: bool = True,
    database_answer_seconds: float = ANSWER_TIMEOUT_SECONDS,
    simulator: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[World]:
    async with running_simulator(**{"rate_limits": "orders", **(simulator or {})}) as sim:
        sim.set_prices({"TCS": "3600", "INFY": "1500"})
        configured = settings_for(sim, database_url=database_url, redis_url=redis_url, task_queue=task_queue, **settings)
        used_clock = clock or SystemClock()
        database = Database(configured.database_url, pool_size=20, answer_seconds=database_answer_seconds)
        redis = connect(configured.redis_url)
        accounts = open_accounts(configured, database, used_clock)
        for master in accounts.masters():
            await load_master(database, master, clock=used_clock)
        await accounts.instruments.refresh()
        room = open_trading_room(
            configured,
            database=database,
            redis=redis,
            accounts=accounts,
            instruments=accounts.instruments,
            calendar=AlwaysOpen(),
            clock=used_clock,
            metrics=PrometheusMetrics(),
        )
        if with_desks:
            room.start()
        else:
            room.watch.start()
        world = World(sim, configured, database, redis, client, accounts, room, used_clock)
        try:
            if with_worker:
                async with make_worker(client, configured, room.activities, sandboxed=True):
                    yield world
            else:
                yield world
        finally:
            await room.close()
            await accounts.close()
            await redis.aclose()
            await database.close()


def utc_now() -> datetime:
    return datetime.now(UTC)
