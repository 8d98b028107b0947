"""Carrying out what the planner says: rows under their lock, orders through the dispatcher, changes through the broker.

A run is planned from rows that were just read; every step is a compare-and-set or a claim, so a plan made from a stale picture
changes nothing and is made again.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

from cache.channels import StopCrossed
from execution.backup import note_hit, runs_with_backup
from execution.budget import Priority
from execution.change import Terms
from execution.claim import WantedBackup, claim_backup, give_back
from execution.desk import Desk
from execution.due import Due
from execution.follow import Followed, carry_out_rows
from execution.hand_over import hand_over
from execution.rows import KillSwitches, armed_order, lock_run
from execution.tools import Tools
from execution.views import run_view
from storage.models import Order, Run
from trading.backup import BackupPrices, backup_prices
from trading.bands import protected_limit
from trading.instruments import InstrumentId
from trading.next_step import (
    SELF_TRADE_WAIT,
    ArmExit,
    Cancel,
    Fire,
    GiveUpReading,
    HandOver,
    LeaveAtItsTime,
    Modify,
    MoveBackup,
    PlaceBackup,
    ResizeArmed,
    RetryEntry,
    RunView,
    Step,
    Supersede,
    next_steps,
)
from trading.orders import Leg
from trading.runs import ExitReason

if TYPE_CHECKING:
    from execution.floor import Floor

_log = structlog.get_logger()

PLANS_AT_ONCE = 16
# Steps that need rows only; the others need the broker.
_OF_ROWS = ArmExit | ResizeArmed | RetryEntry | Supersede | LeaveAtItsTime | HandOver | GiveUpReading
# An exit that waits for a buy of ours to be gone is looked at again this soon.
LOOK_AGAIN_SECONDS = 0.02


class Flattener:
    def __init__(self, tools: Tools, floor: "Floor") -> None:
        self._tools = tools
        self._floor = floor
        self._slots = asyncio.Semaphore(PLANS_AT_ONCE)

    async def carry_out(self, runs: Sequence[tuple[Run, list[Order]]], switches: KillSwitches) -> None:
        """Plan those runs and do what they need. One that fails does not hold the others up."""
        now = self._tools.clock.now()
        planned = [
            (run, orders, desk, steps)
            for run, orders in runs
            for desk, steps in [self._plan(run, orders, switches, now)]
            if desk and steps
        ]
        await asyncio.gather(*(self._one(run, orders, desk, steps, switches) for run, orders, desk, steps in planned))

    def _plan(self, run: Run, orders: list[Order], switches: KillSwitches, now: datetime) -> tuple[Desk | None, tuple[Step, ...]]:
        desk = self._floor.desks.get(run.account_id)
        if desk is None:
            return None, ()
        return desk, next_steps(self._view(run, orders, desk, switches), now)

    def _view(self, run: Run, orders: list[Order], desk: Desk, switches: KillSwitches) -> RunView:
        return run_view(
            run,
            orders,
            entries_locked=switches.lock(run),
            is_suspended=switches.suspend(run),
            session_since=desk.session_since,
            fires_by_itself=self._tools.pace.head_start,
            stops_may_rest=desk.stops_may_rest,
        )

    async def _one(self, run: Run, orders: list[Order], desk: Desk, steps: tuple[Step, ...], switches: KillSwitches) -> None:
        async with self._slots:
            try:
                if any(isinstance(step, _OF_ROWS) for step in steps):
                    await self._change_rows(run.id, desk, switches)
                by_id = {order.id: order for order in orders}
                for step in steps:
                    self._start(run, by_id, desk, step)
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                _log.error("plan_failed", run_id=run.id, error=str(error))
                self._floor.mark(run.id)

    async def _change_rows(self, run_id: str, desk: Desk, switches: KillSwitches) -> None:
        followed = Followed(run_id)
        async with self._tools.database.transaction() as session:
            locked = await lock_run(session, run_id)
            if locked is None:
                return
            run, orders = locked
            now = self._tools.clock.now()
            steps = next_steps(self._view(run, orders, desk, switches), now)
            carry_out_rows(session, run, orders, steps, now=now, followed=followed)
            if HandOver() in steps:
                await hand_over(session, run, orders, now=now)
                followed.changed = True
        if followed.changed:
            self._floor.followed(followed)
            await self._tools.notices.followed(followed)

    def _start(self, run: Run, by_id: dict[str, Order], desk: Desk, step: Step) -> None:
        """Begin what needs the broker; it ends on its own and marks the run again."""
        if isinstance(step, Fire):
            self._floor.dispatcher.submit([due_now(run, by_id[step.order_id])])
        elif isinstance(step, Cancel) and self._may_write(desk):
            desk.keep(self._cancel(desk, by_id[step.order_id]))
        elif isinstance(step, Modify) and self._may_write(desk):
            desk.keep(self._modify(desk, by_id[step.order_id], run, step))
        elif isinstance(step, MoveBackup) and self._may_write(desk):
            desk.keep(self._move_backup(desk, by_id[step.order_id], step))
        elif isinstance(step, PlaceBackup) and desk.broker is not None:
            desk.keep(self._place_backup(desk, by_id[step.order_id]))

    def _may_write(self, desk: Desk) -> bool:
        """Changes go with the priority of exits; one that does not fit the budget comes again with the next sweep."""
        now = self._tools.clock.monotonic()
        if desk.broker is None or desk.budget.available(Priority.EXIT, now=now) < 1:
            return False
        desk.budget.spend(1, now=now)
        return True

    def take_back(self, desk: Desk, order_ids: Sequence[str]) -> None:
        """Cancel resting orders of ours, whatever run they belong to, as soon as the budget allows."""
        for order_id in order_ids:
            if self._may_write(desk):
                desk.keep(self._cancel_by_id(desk, order_id))

    async def _cancel_by_id(self, desk: Desk, order_id: str) -> None:
        async with self._tools.database.transaction() as session:
            order = await session.get(Order, order_id)
        if order is not None:
            await self._cancel(desk, order)

    async def _cancel(self, desk: Desk, order: Order) -> None:
        if desk.broker is None:
            return
        outcome = await self._tools.changer.cancel(order, desk.broker)
        self._after_change(desk, order, "cancel", outcome)

    async def _modify(self, desk: Desk, order: Order, run: Run, step: Modify) -> None:
        if desk.broker is None:
            return
        instrument_id = InstrumentId(order.exchange, order.symbol)
        instrument = self._tools.limits.find(instrument_id, desk.broker.environment)
        prices = await self._tools.prices.of({instrument_id: desk.broker})
        last_price = prices.get(instrument_id)
        if order.backup_trigger is not None:
            if self._buys_are_in_the_way(desk, order, run):
                return
            # An exit never waits for a price: at the stop it sells at the market as long as the market is above it.
            last_price = last_price or order.stop_price
        if instrument is None or last_price is None:
            # Without a price the old limit stands; the next sweep asks again.
            return
        price = protected_limit(order.side, last_price=last_price, instrument=instrument, step=step.band_step)
        if price == order.price and step.quantity == order.quantity and order.backup_trigger is None:
            # Already at the best limit there is, such as the circuit price: one order rests there.
            return
        outcome = await self._tools.changer.modify(order, desk.broker, Terms(step.quantity, price, step.band_step))
        self._tools.metrics.count("reprices")
        self._after_change(desk, order, "modify", outcome)
        if order.backup_trigger is not None:
            await desk.backup_answered(run.id, outcome)

    # --- exits that rest at the broker --------------------------------------------------------------------------------

    async def _place_backup(self, desk: Desk, order: Order) -> None:
        prices = self._backup_prices(desk, order)
        now = self._tools.clock.monotonic()
        if prices is None or desk.budget.available(Priority.ENTRY, now=now, open_positions=desk.open_positions) < 1:
            return
        desk.budget.spend(1, now=now)
        wanted = WantedBackup(order.id, order.run_id, order.revision, prices.trigger, prices.limit)
        async with self._tools.database.transaction() as session:
            claimed = await claim_backup(
                session, wanted, owner=self._tools.owner, now=self._tools.clock.now(), monotonic=self._tools.clock.monotonic()
            )
        if claimed is None:
            desk.budget.give_back(1, spent_at=now)
            return
        self._floor.armed.drop(order.id)
        if self._floor.desks.get(order.account_id) is desk:
            desk.send(claimed, admitted_at=now)
            return
        async with self._tools.database.transaction() as session:
            await give_back(session, claimed, owner=self._tools.owner)

    async def _move_backup(self, desk: Desk, order: Order, step: MoveBackup) -> None:
        prices = self._backup_prices(desk, order)
        if prices is None or desk.broker is None:
            return
        terms = Terms(step.quantity, prices.limit, order.band_step, prices.trigger)
        self._after_change(desk, order, "modify", await self._tools.changer.modify(order, desk.broker, terms))

    def _backup_prices(self, desk: Desk, order: Order) -> BackupPrices | None:
        if desk.broker is None or order.stop_price is None:
            return None
        instrument = self._tools.limits.find(InstrumentId(order.exchange, order.symbol), desk.broker.environment)
        return None if instrument is None else backup_prices(order.stop_price, instrument)

    def _buys_are_in_the_way(self, desk: Desk, order: Order, run: Run) -> bool:
        """As for an exit that is sent: resting buys of ours are taken back first, for a moment."""
        resting = desk.resting_buys(InstrumentId(order.exchange, order.symbol))
        now = self._tools.clock.now()
        if not resting or run.exit_wanted_at is None or now - run.exit_wanted_at >= SELF_TRADE_WAIT:
            return False
        self.take_back(desk, resting)
        asyncio.get_running_loop().call_later(LOOK_AGAIN_SECONDS, self._floor.mark, run.id)
        return True

    async def note_hits(self, hits: Sequence[StopCrossed]) -> None:
        """Crossings of runs whose exit is not armed: where it rests at the broker, or died there, the run leaves."""
        by_run = {hit.run_id: hit for hit in hits}
        async with self._tools.database.transaction() as session:
            resting = await runs_with_backup(session, list(by_run))
            for run_id in resting:
                await note_hit(session, by_run[run_id])
        for run_id in resting:
            self._floor.mark(run_id)

    def _after_change(self, desk: Desk, order: Order, kind: str, outcome: object) -> None:
        if outcome is not None:
            self._tools.metrics.count("order_changes_sent", kind=kind, outcome=type(outcome).__name__.lower())
        desk.look_soon()
        self._floor.mark(order.run_id)


def due_now(run: Run, order: Order) -> Due:
    """An armed order that shall leave now: because somebody wants it to, or because its instant has passed."""
    if order.leg is Leg.ENTRY:
        return Due(armed_order(order), order.fire_at or order.wanted_at or run.buy_at, _asked_by(order))
    if run.exit_reason is None and order.wanted_at is None:
        return Due(armed_order(order), order.fire_at or run.sell_at, _asked_by(order), ExitReason.SELL_TIME)
    wanted_at = run.exit_wanted_at or order.wanted_at or run.sell_at
    return Due(armed_order(order), wanted_at, _asked_by(order), run.exit_reason or ExitReason.LATE_FILL)


def _asked_by(order: Order) -> str:
    return "sweep" if order.wanted_at is None else "activity"
