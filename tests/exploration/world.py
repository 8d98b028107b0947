"""Workers with real desks over a real database, at a tiny exchange, in virtual time: everything but Temporal and Redis.

`World` plays their parts: it tells the desks of stops as the listener would, and does what a strategy's workflow would ask for.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any, TypeVar

from sqlalchemy import select, text, update
from structlog.testing import capture_logs

from activities.entry import DeskEntryActivities
from activities.exit import DeskExitActivities
from activities.messages import ArmEntry, Finish, Leave, StopLossHit
from activities.runs import NotSettled, RowRunActivities
from brokers.limits import BrokerLimits
from brokers.zerodha.limits import LIMITS
from cache.channels import ArmedStop, Disarmed, StopCrossed
from cache.connection import CacheUnavailable
from execution.absences import Absences
from execution.change import Changer
from execution.commands import take_plan_change, take_stop
from execution.day_limits import DayLimits
from execution.day_rows import DaysRows
from execution.desk import WATCHING
from execution.floor import Floor
from execution.follow import Followed
from execution.news import News
from execution.prices import ReferencePrices
from execution.rush import Rush
from execution.send import Sender
from execution.sights import Sights
from execution.starting import create_run
from execution.switchboard import Switchboard
from execution.tools import Pace, Tools
from execution.under_way import KnownOrders, OrdersUnderWay
from storage.database import Database
from storage.models import Alert, BrokerAccount, Order, Run, Strategy, User
from tests.exploration.broker import TIMEOUT_SECONDS, BookFate, Fate, ModelBroker, Network
from tests.exploration.database import SharedDatabase, Turns
from tests.exploration.exchange import ALL, SHARE, Exchange
from tests.exploration.processes import Life, Process, ProcessOver
from tests.exploration.virtual_time import VirtualTimeLoop
from trading.accounts import BrokerName, Environment
from trading.instruments import Instrument, InstrumentId, Product, Segment
from trading.orders import LIVE_STATES
from trading.runs import ExitReason, RunState
from trading.schedule import RunWindow
from trading.sessions import trading_date

T = TypeVar("T")

OPENS = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
SETTLE_SECONDS = 0.4
STOP = Decimal(3500)
_LISTED = Instrument(SHARE, "Tata Consultancy", Segment.CASH, Decimal("0.05"))


class WorkerClock:
    """`skew`: how wrong this worker's wall clock is."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.skew = timedelta(0)

    def now(self) -> datetime:
        return self._world.now() + self.skew

    def monotonic(self) -> float:
        return self._world.loop.time()


class QuietFloor(Floor):
    """Without Redis: `World` calls what the channels would call, and nobody looks at views."""

    async def _listen_hints(self) -> None:
        await asyncio.Event().wait()

    async def _listen_stops(self) -> None:
        await asyncio.Event().wait()

    async def _publish_views(self) -> None:
        await asyncio.Event().wait()


class NoRedis:
    """Whoever subscribes hears that there is nothing to hear, and whoever publishes that nobody listens."""

    def pubsub(self, **options: Any) -> Any:
        raise CacheUnavailable("no Redis here")

    async def publish(self, channel: str, message: object) -> int:
        raise CacheUnavailable("no Redis here")


class NoHotPrices:
    async def read(self, wanted: object) -> dict[InstrumentId, Any]:
        raise CacheUnavailable("no Redis here")


class NoMetrics:
    def count(self, name: str, amount: int = 1, **labels: str) -> None: ...

    def observe(self, name: str, value: float, **labels: str) -> None: ...

    def gauge(self, name: str, value: float, **labels: str) -> None: ...


class Hints:
    """In the place of `Notices`: tells every living worker that an account's rows have changed."""

    def __init__(self, world: "World") -> None:
        self._world = world

    async def armed(self, changes: list[ArmedStop | Disarmed]) -> None: ...

    async def followed(self, followed: Followed) -> None: ...

    async def account(self, account_id: str) -> None:
        self._world.hint()


class ModelAccounts:
    def __init__(self, broker: ModelBroker) -> None:
        self._broker = broker

    def broker_of(self, account: BrokerAccount) -> ModelBroker:
        return self._broker

    def limits(self, broker: BrokerName) -> BrokerLimits:
        return LIMITS


class ModelInstruments:
    def find(self, instrument: InstrumentId) -> Instrument | None:
        return _LISTED if instrument == SHARE else None


class Worker:
    """One worker process: a floor and the activities, all of whose tasks belong to `process`."""

    def __init__(self, world: "World", process: Process, *, head_start: bool = True) -> None:
        self.process = process
        self.clock = WorkerClock(world)
        self._world = world
        self._broker = ModelBroker(world.network, process.name, now=world.now, monotonic=self.clock.monotonic)
        database = SharedDatabase(world.shared, world.turns, process, world.now)
        owner, instruments, switchboard, rush = process.name, ModelInstruments(), Switchboard(), Rush()
        news = News(database, self.clock, rush)
        pace = Pace(
            settle=timedelta(seconds=SETTLE_SECONDS),
            timeout=timedelta(seconds=TIMEOUT_SECONDS),
            lease_seconds=3.0,
            head_start=head_start,
        )
        self.tools = Tools(
            database=database,
            claims=database,
            clock=self.clock,
            accounts=ModelAccounts(self._broker),
            instruments=instruments,
            limits=DayLimits(instruments, self.clock),
            prices=ReferencePrices(NoHotPrices()),  # type: ignore[arg-type]
            notices=Hints(world),  # type: ignore[arg-type]
            metrics=NoMetrics(),
            sender=Sender(database=database, clock=self.clock, owner=owner, switchboard=switchboard, rush=rush, news=news),
            rush=rush,
            changer=Changer(database=database, clock=self.clock, owner=owner),
            news=news,
            sights=Sights(database, self.clock, rush),
            absences=Absences(database, self.clock, rush, timeout=pace.timeout),
            under_way=OrdersUnderWay(database, self.clock),
            known=KnownOrders(database),
            days=DaysRows(database),
            pace=pace,
            owner=owner,
            switchboard=switchboard,
        )
        self.floor = QuietFloor(self.tools, NoRedis())  # type: ignore[arg-type]
        parts: dict[str, Any] = {"tools": self.tools, "floor": self.floor}
        self.entry = DeskEntryActivities(**parts, watch=None)  # type: ignore[arg-type]
        self.leaving = DeskExitActivities(**parts, watch=None)  # type: ignore[arg-type]
        self.runs = RowRunActivities(**parts)
        self.cut_off_backend: int | None = None
        process.on_death.append(self._cut_off)

    @property
    def is_able(self) -> bool:
        return self.process.life is Life.ALIVE and not self.process.over.is_set()

    async def start(self) -> None:
        async def run() -> None:
            self.floor.start()

        try:
            await self.process.do(run())
        except ProcessOver:
            return

    def _cut_off(self) -> None:
        self._broker.is_cut_off = True
        self.cut_off_backend = self._world.turns.drop(self.process)


@dataclass
class World:
    """One account of one user. `now` is the true time, and the database's."""

    loop: VirtualTimeLoop
    shared: Database
    turns: Turns
    seed: int = 0
    workers: list[Worker] = field(default_factory=list)
    run_ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._opened_at = self.loop.time()
        self.turns.random = Random(self.seed)
        self.exchange = Exchange(self.now)
        self.network = Network(self.exchange, self.now)
        self.database = SharedDatabase(self.shared, self.turns, None, self.now)
        self._logs = capture_logs()
        self.logs: list[Any] = []
        self.hit: set[str] = set()

    def now(self) -> datetime:
        return OPENS + timedelta(seconds=self.loop.time() - self._opened_at)

    async def open(self) -> None:
        self.logs = self._logs.__enter__()
        user = User(email=f"{id(self)}-{self._opened_at}@example.org", password_hash="-")
        self.account = BrokerAccount(
            user_id=user.id,
            broker=BrokerName.ZERODHA,
            environment=Environment.SIMULATED,
            broker_user_id=user.id,
            sealed_api_key="-",
            sealed_api_secret="-",
            sealed_access_token="-",
            session_version=1,
            session_started_at=self.now(),
        )
        async with self.database.transaction() as session:
            # Accounts of earlier examples are nobody's any more.
            await session.execute(text("DELETE FROM desk_leases"))
            session.add(user)
            await session.flush()
            session.add(self.account)

    async def close(self) -> None:
        for worker in self.workers:
            if worker.process.life is not Life.BURIED:
                worker.process.die()
        for worker in self.workers:
            await worker.process.bury()
        for task in list(self.network.under_way):
            task.cancel()
        await asyncio.sleep(0)
        self._logs.__exit__(None, None, None)

    # --- workers ------------------------------------------------------------------------------------------------------

    async def hire(self, process: Process | None = None, *, head_start: bool = True) -> Worker:
        worker = Worker(self, process or Process(f"worker-{len(self.workers) + 1}"), head_start=head_start)
        self.workers.append(worker)
        await worker.start()
        return worker

    def able(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.is_able]

    async def kill(self, worker: Worker) -> None:
        worker.process.die()
        await self.forget_connection(worker)

    async def forget_connection(self, worker: Worker) -> None:
        """Until the server has noticed that a dead process's connection is gone, and rolled its transaction back."""
        if worker.cut_off_backend is None:
            return
        async with self.database.transaction() as session:
            await session.execute(text("SELECT pg_terminate_backend(:backend, 10000)"), {"backend": worker.cut_off_backend})

    async def freeze(self, worker: Worker) -> None:
        """The process stands still, as on a suspended machine; never with a transaction open: the server would end it."""
        await self.turns.quiet()
        worker.process.freeze()

    def thaw(self, worker: Worker) -> None:
        worker.process.thaw()
        self.turns.hand_over()

    def hint(self) -> None:
        """What a message on the account's channel does."""
        for worker in self.able():
            worker.floor.account_changed(self.account.id)
            desk = worker.floor.desks.get(self.account.id)
            if desk is not None:
                desk.look_soon()

    # --- time ---------------------------------------------------------------------------------------------------------

    async def pass_time(self, seconds: float) -> None:
        """That much virtual time; ends between transactions."""
        await asyncio.sleep(seconds)
        await self.turns.quiet()

    async def until(self, check: Any, what: str, *, seconds: float = 60.0) -> None:
        """Until the rows of the first run (run, orders) pass that check."""
        end = self.loop.time() + seconds
        while True:
            run, orders = await self.rows(self.run_ids[0])
            if check(run, orders):
                return
            assert self.loop.time() < end, f"not within {seconds:.0f} s: {what}\n{await self.story()}"
            await self.pass_time(0.05)

    # --- runs ---------------------------------------------------------------------------------------------------------

    async def start_run(
        self,
        *,
        quantity: int = 10,
        buy_in: float = 0.2,
        deadline_in: float = 6.0,
        sell_in: float = 3600,
        backup_stop: bool = False,
    ) -> str:
        """A run whose entry is armed by the first worker that is able to."""
        now = self.now()
        sell_at = now + timedelta(seconds=sell_in)
        window = RunWindow(trading_date(now), now + timedelta(seconds=buy_in), sell_at, sell_at + timedelta(hours=1))
        strategy = Strategy(
            user_id=self.account.user_id,
            account_id=self.account.id,
            exchange=SHARE.exchange,
            symbol=SHARE.symbol,
            product=Product.MIS,
            quantity=quantity,
            buy_time=time(9, 30),
            sell_time=time(15, 0),
            stop_loss=STOP,
            backup_stop=backup_stop,
        )
        async with self.database.transaction() as session:
            session.add(strategy)
            await session.flush()
            run = await create_run(
                session,
                strategy=strategy,
                account=self.account,
                window=window,
                starts_now=False,
                workflow_id=strategy.id,
                started_by=self.account.user_id,
            )
        self.run_ids.append(run.id)
        deadline = now + timedelta(seconds=deadline_in)
        request = ArmEntry(run.id, window.buy_at, min(deadline, window.sell_at), now)
        await self._by_anyone(lambda worker: worker.entry.arm_entry(request))
        return run.id

    async def _by_anyone(self, activity: Any) -> Any:
        """As Temporal would: some living worker does it; one that dies while doing it is replaced by the next."""
        while True:
            worker = next(iter(self.able()), None)
            if worker is None:
                await self.pass_time(0.1)
                continue
            try:
                return await worker.process.do(activity(worker))
            except ProcessOver:
                continue

    async def cross_stop(self, run_id: str, price: Decimal, *, tell_desks: bool = True) -> None:
        """The market falls; the listener tells every desk, and the workflow is told with the next `catch_up`."""
        self.exchange.move(price)
        run, _ = await self.rows(run_id)
        self.hit.add(run_id)
        crossed = StopCrossed(run_id, self.account.id, run.stop_version, price, self.now(), f"{run_id}-{run.stop_version}")
        for worker in self.able() if tell_desks else []:
            worker.floor.on_stops([crossed])

    async def leave(self, run_id: str, reason: ExitReason, *, square_off: bool = True) -> None:
        """What the workflow's `leave` writes down and marks."""
        run, _ = await self.rows(run_id)
        hit = None
        if reason is ExitReason.STOP_LOSS:
            hit = StopLossHit(run.symbol, self.exchange.price, run.stop_version, f"{run_id}-{run.stop_version}", self.now())
        request = Leave(run_id, reason, self.now(), self.now(), square_off, hit)

        async def note(worker: Worker) -> None:
            await worker.leaving._note_wish(request)
            worker.floor.mark(run_id)

        await self._by_anyone(note)
        self.hint()

    async def stop_by_user(self, run_id: str, *, square_off: bool) -> None:
        async with self.database.transaction() as session:
            await take_stop(
                session,
                run_id=run_id,
                user_id=self.account.user_id,
                square_off=square_off,
                requested_by=self.account.user_id,
                now=self.now(),
            )
        self.hint()

    async def change_plan(self, run_id: str, *, sell_in: float | None = None, stop_loss: Decimal | None = None) -> None:
        async with self.database.transaction() as session:
            await take_plan_change(
                session,
                run_id=run_id,
                user_id=self.account.user_id,
                sell_at=None if sell_in is None else self.now() + timedelta(seconds=sell_in),
                stop_loss=stop_loss,
                now=self.now(),
                last_price=self.exchange.price,
            )
        self.hint()

    async def log_in_again(self) -> None:
        async with self.database.transaction() as session:
            renewed = {"session_version": BrokerAccount.session_version + 1, "session_started_at": self.now()}
            await session.execute(update(BrokerAccount).where(BrokerAccount.id == self.account.id).values(**renewed))
        self.hint()

    async def catch_up(self, *, give_up_holding: bool = False) -> None:
        """What the runs' workflows would do by now: leave at the stop or at the sell time, end what is settled."""
        for run_id in self.run_ids:
            run, orders = await self.rows(run_id)
            if run.state is RunState.ENDED:
                continue
            if run.bought and not run.leave_open and run_id in self.hit:
                await self.leave(run_id, ExitReason.STOP_LOSS)
            elif run.bought and not run.leave_open and run.sell_at <= self.now():
                await self.leave(run_id, ExitReason.SELL_TIME)
            elif run.bought and not run.leave_open and give_up_holding:
                await self.leave(run_id, ExitReason.USER_STOP)
            if orders:
                await self._finish(run_id)

    async def _finish(self, run_id: str) -> None:
        request = Finish(run_id, self.now())

        async def finish(worker: Worker) -> None:
            try:
                await worker.runs.finish(request)
            except NotSettled:
                return

        await self._by_anyone(finish)

    # --- peace --------------------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """From now on nothing fails any more, and everybody finds a buyer."""
        self.network.writes.clear()
        self.network.reads.clear()
        self.network.latency = 0.01
        self.network.stream_is_up = True
        self.exchange.fills_at_most = ALL
        self.exchange.trade_on()
        for worker in self.workers:
            worker.clock.skew = timedelta(0)

    async def work_in_peace(self, *, seconds: float = 120.0) -> None:
        """One worker with a healthy broker, until every run has ended and nothing of ours is alive anywhere."""
        self.heal()
        await self.log_in_again()
        end = self.loop.time() + seconds
        while True:
            await self.catch_up(give_up_holding=True)
            if await self._is_quiet() or self.loop.time() >= end:
                break
            await self.pass_time(1.0)
        if any(request.is_overdue for request in self.exchange.log):
            await self.pass_time(WATCHING + 2.0)
            await self.catch_up(give_up_holding=True)

    async def _is_quiet(self) -> bool:
        for run_id in self.run_ids:
            run, orders = await self.rows(run_id)
            if run.state is not RunState.ENDED or any(order.state in LIVE_STATES for order in orders):
                return False
        return not self.network.under_way

    # --- looking ------------------------------------------------------------------------------------------------------

    async def rows(self, run_id: str) -> tuple[Run, list[Order]]:
        async with self.database.transaction() as session:
            run = await session.get_one(Run, run_id)
            orders = list(await session.scalars(select(Order).where(Order.run_id == run_id).order_by(Order.leg, Order.attempt)))
        return run, orders

    async def alarms(self) -> list[Alert]:
        async with self.database.transaction() as session:
            query = select(Alert).where(Alert.account_id == self.account.id)
            return list(await session.scalars(query.order_by(Alert.raised_at)))

    async def story(self) -> str:
        """Everything there is to know, for a failure's message."""
        lines = [f"at {self.now():%H:%M:%S.%f}, price {self.exchange.price}"]
        for run_id in self.run_ids:
            run, orders = await self.rows(run_id)
            lines.append(
                f"run {run.state.value} {run.bought}-{run.sold}-{run.taken_elsewhere} of {run.quantity} {run.end_reason} "
                f"exit={run.exit_reason} wanted={run.exit_wanted_at} open={run.leave_open} {run_id}"
            )
            lines += [
                f"  {o.leg.value} {o.attempt} {o.state.value} {o.filled_quantity}/{o.quantity}@{o.price} r{o.revision} {o.tag} "
                f"#{o.broker_order_id} {o.refusal or ''} {o.change_kind or ''} {o.owner} stop={o.backup_trigger} "
                f"send_by={o.send_by} "
                f"missing={o.missing_since} reason={o.reason} {o.message}"
                for o in orders
            ]
        lines += [f"sent {r.at:%S.%f} {r}" for r in self.exchange.log]
        lines += [f"book {order}" for order in self.exchange.orders.values()]
        lines += [f"alarm {alarm.kind}: {alarm.message} cleared={alarm.cleared_at}" for alarm in await self.alarms()]
        lines += [f"log {line}" for line in self.logs[-40:]]
        return "\n".join(lines)


def run_coroutine(loop: VirtualTimeLoop, work: Coroutine[Any, Any, T]) -> T:
    return loop.run_until_complete(work)


__all__ = ["BookFate", "Fate", "Worker", "World"]
