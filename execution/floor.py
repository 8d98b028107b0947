"""The floor: all desks of one worker process. Takes leases, keeps armed orders in memory, fires them, plans what runs need.

Loops, each supervised and each able to die without the others: leases (a second), timers, stops (a channel), hints (a channel),
and the sweep, which asks the rows what is to be done. With the head start off, timers and stops are silent: then only what a
workflow's activity has marked as wanted is sent, by the sweep.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta

import structlog
from redis.asyncio import Redis
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from cache.channels import StopCrossed, listen_order_hints, listen_stops, publish_run_event
from cache.connection import CacheUnavailable
from cache.rebuild import refresh
from execution.alarms import alarms_up
from execution.armed import ArmedOrder, ArmedOrders
from execution.desk import Desk
from execution.dispatch import Dispatcher
from execution.due import Due
from execution.flatten import Flattener
from execution.follow import Followed
from execution.leases import Lease
from execution.loss import LossWatch
from execution.rows import (
    armed_order,
    armed_revisions,
    load_armed,
    load_kill_switches,
    load_runs,
    newest_events,
    open_positions,
    other_logins,
    runs_to_plan,
    traded_instruments,
)
from execution.servers import ServerWatch
from execution.tasks import end
from execution.tenure import Tenure
from execution.tools import Tools
from execution.warmth import keep_warm
from storage.any_of import any_of
from storage.models import BrokerAccount, Order
from trading.accounts import Environment
from trading.orders import Leg
from trading.ports.broker import Broker
from trading.runs import ExitReason

_log = structlog.get_logger()

SWEEP_PAUSE = 1.0
RELOAD_PAUSE = 5.0
LIMITS_PAUSE = 2.0
# What the apps see may be so many seconds old while answers and fills of a herd are stored.
VIEWS_WAIT = 3.0
# They are read again this long after the last time, and longer where reading takes long.
VIEWS_PAUSE = 0.05
# The timer sleeps in pieces and reads the wall clock again after each, so that a clock that is set does not carry it away.
TIMER_PIECE = timedelta(seconds=20)


class Floor:
    """One per worker process. `start`, then `close`."""

    def __init__(self, tools: Tools, redis: Redis) -> None:
        self.armed = ArmedOrders()
        self.desks: dict[str, Desk] = {}
        self._tools = tools
        self._redis = redis
        self._tenure = Tenure(tools, redis, self)
        self.losses = LossWatch(tools, self, desks=self.desks)
        self._servers = ServerWatch(tools, here=self.desks.keys, changed=self.account_changed)
        self._flattener = Flattener(tools, self)
        self.dispatcher = Dispatcher(tools, desk_of=self.desks.get, mark=self.mark, take_back=self._flattener.take_back)
        self._dirty: set[str] = set()
        self._views: set[str] = set()
        self._sweep_wanted = asyncio.Event()
        self._timer_wanted = asyncio.Event()
        self._reload_wanted: set[str] = set()
        self._changed = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._dispatching: list[asyncio.Task[None]] = []
        self._leaving: set[asyncio.Task[None]] = set()

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        jobs: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("leases", self._tenure.keep),
            ("freed leases", self._tenure.listen),
            ("sweep", self._sweep_forever),
            ("reload", self._reload_forever),
            ("hints", self._listen_hints),
            ("views", self._publish_views),
            ("losses", self.losses.run),
            ("limits", self._keep_limits),
            ("warmth", lambda: keep_warm(self.desks)),
            ("servers", self._servers.run),
        ]
        if self._tools.pace.head_start:
            jobs += [("timers", self._fire_on_time), ("stops", self._listen_stops)]
        self._loops = [asyncio.create_task(self._supervise(name, job), name=name) for name, job in jobs]
        self._dispatching = [asyncio.create_task(self.dispatcher.run(), name="dispatch")]

    async def close(self) -> None:
        """Claim nothing new, finish what is being sent, give the leases up so that nobody waits for them."""
        self.dispatcher.stop()
        # Not cancelled: what it has just claimed would be in doubt although it never left.
        await asyncio.gather(*self._dispatching, return_exceptions=True)
        await end(self._loops)
        await asyncio.gather(*(desk.close() for desk in self.desks.values()), *self._leaving, return_exceptions=True)
        held = list(self.desks)
        self.desks.clear()
        try:
            await self._tenure.resign()
            await self._tenure.give_up(held)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _log.warning("leases_not_released", error=str(error))

    async def _supervise(self, name: str, job: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            try:
                await job()
                failures = 0
            except (SQLAlchemyError, CacheUnavailable, OSError, TimeoutError) as error:
                failures += 1
                _log.warning("floor_loop_failed", loop=name, error=str(error))
            except Exception as error:  # noqa: BLE001 (supervised loop: the other accounts must not pay for one bug)
                failures += 1
                _log.error("floor_loop_broken", loop=name, error=repr(error), exc_info=True)
            await asyncio.sleep(min(0.1 * 2**failures, 2.0))

    # --- what others tell us ------------------------------------------------------------------------------------------

    def mark(self, run_id: str) -> None:
        """The run's rows have changed: plan it at the next sweep, which comes at once."""
        self._dirty.add(run_id)
        self._sweep_wanted.set()

    def account_changed(self, account_id: str) -> None:
        """Rows of the account were written by somebody else: armed, changed, or wanted."""
        self._reload_wanted.add(account_id)
        self._sweep_wanted.set()

    def followed(self, followed: Followed) -> None:
        for order in (followed.armed_exit, followed.armed_entry):
            if order is not None:
                self.put_armed(order)
        if followed.filled_more:
            self.losses.look_soon()
        self.mark(followed.run_id)

    def put_armed(self, order: Order) -> None:
        if self.armed.put(armed_order(order)):
            self._timer_wanted.set()

    def is_ours(self, account_id: str) -> bool:
        return account_id in self.desks

    async def changed(self, timeout: float) -> None:
        """Wait until the rows of some run may have changed, or the timeout (seconds) is over."""
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            return

    # --- desks, as leases come and go ---------------------------------------------------------------------------------

    def held(self) -> Collection[str]:
        return self.desks.keys()

    async def open(self, taken: Sequence[Lease]) -> None:
        if not taken:
            return
        epochs = {lease.account_id: lease.epoch for lease in taken}
        async with self._tools.database.transaction() as session:
            accounts = list(await session.scalars(select(BrokerAccount).where(BrokerAccount.id == any_of(epochs))))
            up = await alarms_up(session, list(epochs))
        armed = await load_armed(self._tools.database, list(await armed_revisions(self._tools.database, list(epochs))))
        for account in accounts:
            left_up = up.get(account.id, set())
            desk = Desk(account, epoch=epochs[account.id], tools=self._tools, host=self, alarms_up=left_up)
            self.desks[account.id] = desk
            desk.start()
        for order in armed:
            self.armed.put(order)
        self._timer_wanted.set()
        self._sweep_wanted.set()
        _log.info("desks_taken", count=len(accounts), armed=len(armed))

    def leave(self, account_ids: Sequence[str]) -> Sequence[asyncio.Task[None]]:
        """Leave those desks at once. Their last answers are waited for beside, or all other leases would run out meanwhile."""
        closing = []
        for account_id in account_ids:
            desk = self.desks.pop(account_id)
            self.armed.drop_account(account_id)
            _log.info("desk_left", account_id=account_id)
            leaving = asyncio.create_task(desk.close(), name=f"leave {account_id}")
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
            closing.append(leaving)
        return closing

    async def take(self, account_id: str) -> bool:
        """Take an account's lease at once if it is free; True when its desk is here."""
        if account_id not in self.desks:
            await self._tenure.take_now()
        return account_id in self.desks

    # --- time ---------------------------------------------------------------------------------------------------------

    async def _fire_on_time(self) -> None:
        clock = self._tools.clock
        while True:
            self._timer_wanted.clear()
            instant = self.armed.next_instant()
            left = TIMER_PIECE if instant is None else instant - clock.now()
            if left > timedelta(0):
                await self._sleep_or_change(min(left, TIMER_PIECE))
                continue
            due = self.armed.take_due(clock.now())
            self.dispatcher.submit(_due_by_time(order) for order in due if self.is_ours(order.account_id))

    async def _sleep_or_change(self, span: timedelta) -> None:
        try:
            async with asyncio.timeout(span.total_seconds()):
                await self._timer_wanted.wait()
        except TimeoutError:
            return

    # --- stops --------------------------------------------------------------------------------------------------------

    async def _listen_stops(self) -> None:
        async with listen_stops(self._redis) as batches:
            async for batch in batches:
                self.on_stops(batch)

    def on_stops(self, batch: list[StopCrossed]) -> None:
        """Crossings of all accounts; those of ours are fired, the rest is another worker's."""
        due, others = [], []
        for stop in batch:
            desk = self.desks.get(stop.account_id)
            order = self.armed.exit_of(stop.run_id)
            if order is not None and desk is not None:
                due.append(Due(order, stop.at, "desk", stop.reason, stop.price))
            elif desk is not None and desk.stops_may_rest:
                others.append(stop)
        self.dispatcher.submit(due)
        if others:
            # Their exit rests at the broker, or is out already: one statement tells which.
            self.desks[others[0].account_id].keep(self._flattener.note_hits(others))

    # --- hints --------------------------------------------------------------------------------------------------------

    async def _listen_hints(self) -> None:
        async with listen_order_hints(self._redis) as accounts:
            async for account_id in accounts:
                desk = self.desks.get(account_id)
                if desk is not None:
                    desk.look_soon()
                    self.account_changed(account_id)

    # --- the sweep ----------------------------------------------------------------------------------------------------

    async def _sweep_forever(self) -> None:
        clock = self._tools.clock
        full_at = 0.0
        while True:
            full = clock.monotonic() >= full_at
            if full:
                full_at = clock.monotonic() + SWEEP_PAUSE
            await self._sweep(full=full)
            try:
                async with asyncio.timeout(max(0.005, full_at - clock.monotonic())):
                    await self._sweep_wanted.wait()
            except TimeoutError:
                continue

    async def _sweep(self, *, full: bool) -> None:
        await self._tools.rush.pass_by()
        await self._tools.news.pass_by()
        self._sweep_wanted.clear()
        dirty, self._dirty = self._dirty, set()
        reload, self._reload_wanted = self._reload_wanted & set(self.desks), set()
        try:
            if reload:
                await self._reload(list(reload))
            await self._plan(dirty, full=full or bool(reload))
        except BaseException:
            self._dirty |= dirty
            self._reload_wanted |= reload
            raise
        if dirty or reload or full:
            self._changed.set()
            self._changed = asyncio.Event()

    async def _plan(self, dirty: set[str], *, full: bool) -> None:
        accounts = list(self.desks)
        if not accounts or not (dirty or full):
            return
        database, run_ids = self._tools.database, set(dirty)
        if full:
            run_ids.update(await runs_to_plan(database, accounts, now=self._tools.clock.now()))
            holding = await open_positions(database, accounts)
            for account_id, desk in self.desks.items():
                desk.open_positions = holding.get(account_id, 0)
        async with database.transaction() as session:
            switches = await load_kill_switches(session)
            # Known before anything else is done: entries on their way to the wire are looked up here.
            self._tools.switchboard.know(switches)
            runs = await load_runs(session, list(run_ids)) if run_ids else []
        self._views.update(run.strategy_id for run, _ in runs if run.id in dirty)
        await self._flattener.carry_out(runs, switches)

    async def _reload_forever(self) -> None:
        """The full truth, every few seconds: whatever a lost hint has left out of memory, and logins that were renewed."""
        while True:
            await asyncio.sleep(RELOAD_PAUSE)
            accounts = list(self.desks)
            if accounts:
                await self._reload(accounts, everything=True)

    async def _reload(self, account_ids: list[str], *, everything: bool = False) -> None:
        """Most of it is known, and a thousand armed orders are not made anew while a crossed stop waits."""
        await self._renew_logins(account_ids)
        database, mark = self._tools.database, self.armed.mark()
        revisions = await armed_revisions(database, account_ids)
        for order in await load_armed(database, self.armed.lacks(revisions)):
            self.armed.put(order)
        if everything:
            self.armed.keep(revisions.keys(), mark=mark)
        self._timer_wanted.set()

    async def _renew_logins(self, account_ids: list[str]) -> None:
        versions = {desk.account_id: desk.session_version for desk in map(self.desks.get, account_ids) if desk is not None}
        renewed = await other_logins(self._tools.database, versions)
        if not renewed:
            return
        async with self._tools.database.transaction() as session:
            accounts = list(await session.scalars(select(BrokerAccount).where(BrokerAccount.id == any_of(renewed))))
        for account in accounts:
            desk = self.desks.get(account.id)
            if desk is not None:
                desk.renew_session(account)

    # --- circuit limits -----------------------------------------------------------------------------------------------

    async def _keep_limits(self) -> None:
        """Today's circuit limits of whatever has an open run; each round asks through another account."""
        limits = self._tools.limits
        for round_number in itertools.count():
            async with self._tools.database.transaction() as session:
                traded = await traded_instruments(session, list(self.desks))
            for environment, instruments in traded.items():
                brokers = self._brokers_in(environment)
                if brokers:
                    await limits.keep_fresh(sorted(instruments), brokers[round_number % len(brokers)])
            limits.forget_others({(environment, each) for environment, some in traded.items() for each in some})
            await limits.until_wanted(LIMITS_PAUSE)

    def _brokers_in(self, environment: Environment) -> list[Broker]:
        at_desks = (desk.broker for desk in self.desks.values())
        return [broker for broker in at_desks if broker is not None and broker.environment is environment]

    # --- views --------------------------------------------------------------------------------------------------------

    async def _publish_views(self) -> None:
        """Keep what the apps see in step with the rows, in batches, off the order path, for a fifth of the time at most."""
        clock, spent = self._tools.clock, 0.0
        while True:
            await asyncio.sleep(max(VIEWS_PAUSE, 4 * spent))
            if self._views:
                await self._tools.news.pass_by(at_most=VIEWS_WAIT)
                started = clock.monotonic()
                batch = [self._views.pop() for _ in range(min(len(self._views), 100))]
                await refresh(self._tools.database, self._redis, batch)
                async with self._tools.database.transaction() as session:
                    hints = await newest_events(session, batch)
                for hint in hints:
                    await publish_run_event(self._redis, hint.user_id, hint.strategy_id, sequence=hint.sequence)
                spent = clock.monotonic() - started


def _due_by_time(order: ArmedOrder) -> Due:
    assert order.fire_at is not None  # noqa: S101 (the heap holds timed orders only)
    reason = None if order.leg is Leg.ENTRY else ExitReason.SELL_TIME
    return Due(order, order.fire_at, "desk", reason)
