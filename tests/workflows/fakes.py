"""Activities for workflow tests: the real names and types, rows in memory, and hooks that make races certain.

They follow the bodies' rules where a workflow can tell the difference; how orders are sent is not their subject.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from temporalio import activity

from activities.messages import (
    ArmEntry,
    ArmOutcome,
    Begin,
    Begun,
    ChangeRun,
    Enter,
    Entered,
    EntryArmed,
    Finish,
    Leave,
    Left,
    PreparedRuns,
    PrepareRuns,
    RunChanged,
    StrategyResult,
)
from activities.signatures import EntryActivities, ExitActivities, RunActivities, TradingDayActivities
from execution.commands import ChangeRefusal
from tests.waiting import DEADLINE_SECONDS
from tests.workflows.rows import BUY_PRICE, OrderRow, RunRow
from trading.orders import OrderState, SupersededFor
from trading.runs import ExitReason, RunState

_PAUSE_SECONDS = 0.02
T = TypeVar("T")


class Gate:
    """Holds an activity until it is opened."""

    def __init__(self) -> None:
        self._reached = asyncio.Event()
        self._open = asyncio.Event()

    async def pass_through(self) -> None:
        self._reached.set()
        while not self._open.is_set():
            activity.heartbeat()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def reached(self) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await self._reached.wait()

    def open(self) -> None:
        self._open.set()


@dataclass
class Script:
    """What happens in this test. `fills`: shares the entry buys, None for all of them; `entry_ends`: how it ends if it buys
    nothing. `enter` and `leave`: gates that hold these activities. `unsettled`: requests to leave that settle nothing yet."""

    denial: EntryArmed | None = None
    fills: int | None = None
    entry_ends: Callable[[OrderRow], None] | None = None
    enter: Gate | None = None
    leave: Gate | None = None
    change: Gate | None = None
    unsettled: int = 0
    finish_fails: int = 0
    pages: dict[str, PreparedRuns] = field(default_factory=dict)


class FakeActivities(EntryActivities, ExitActivities, RunActivities, TradingDayActivities):
    def __init__(self) -> None:
        self.script = Script()
        self.rows: dict[str, RunRow] = {}
        self.requests: list[object] = []
        self.left: list[tuple[Leave, Left]] = []
        self.leaves_at_once = self.most_leaves_at_once = 0

    @property
    def all(self) -> list[Callable[..., Any]]:
        return [self.arm_entry, self.enter, self.leave, self.begin, self.change, self.finish, self.prepare_runs]

    def asked(self, kind: type[T]) -> list[T]:
        """The requests of that kind so far, in order."""
        return [request for request in self.requests if isinstance(request, kind)]

    @activity.defn
    async def begin(self, request: Begin) -> Begun:
        self.requests.append(request)
        return self.rows[request.run_id].begun()

    @activity.defn
    async def arm_entry(self, request: ArmEntry) -> EntryArmed:
        self.requests.append(request)
        run = self.rows[request.run_id]
        if run.entries:
            return EntryArmed(ArmOutcome.ARMED)
        if run.stop_requested or run.exit_wanted_at is not None:
            return EntryArmed(ArmOutcome.NOT_WANTED)
        if self.script.denial is not None:
            return self.script.denial
        run.entries.append(OrderRow(1, run.plan.quantity))
        run.state = RunState.ENTERING
        return EntryArmed(ArmOutcome.ARMED)

    @activity.defn
    async def enter(self, request: Enter) -> Entered:
        self.requests.append(request)
        run = self.rows[request.run_id]
        if self.script.enter is not None:
            await self.script.enter.pass_through()
        if run.entries and run.entries[-1].state is OrderState.ARMED:
            self._fire(run, run.entries[-1])
        while not run.entry_is_over(request.at) and run.entries:
            activity.heartbeat()
            await asyncio.sleep(_PAUSE_SECONDS)
        bought = run.holding.bought
        return Entered(bought, BUY_PRICE if bought else None)

    def _fire(self, run: RunRow, entry: OrderRow) -> None:
        if self.script.entry_ends is not None:
            self.script.entry_ends(entry)
            return
        fills = entry.quantity if self.script.fills is None else self.script.fills
        entry.end(OrderState.FILLED if fills == entry.quantity else OrderState.CANCELLED, filled=fills)
        run.state = RunState.HOLDING

    @activity.defn
    async def leave(self, request: Leave) -> Left:
        self.requests.append(request)
        self.leaves_at_once += 1
        self.most_leaves_at_once = max(self.most_leaves_at_once, self.leaves_at_once)
        try:
            answer = await self._leave(self.rows[request.run_id], request)
        finally:
            self.leaves_at_once -= 1
        self.left.append((request, answer))
        return answer

    async def _leave(self, run: RunRow, request: Leave) -> Left:
        is_void = _is_outdated(run, request)
        if not is_void:
            _note_wish(run, request)
        if self.script.leave is not None:
            await self.script.leave.pass_through()
        if is_void:
            return Left(is_settled=False, is_void=True)
        if self.script.unsettled:
            self.script.unsettled -= 1
            return Left(is_settled=False, waiting_for="the broker, who is slow")
        if run.exit_wanted_at is not None and run.holding.open_quantity > 0:
            sale = OrderRow(len(run.exits) + 1, run.holding.open_quantity)
            sale.end(OrderState.FILLED, filled=sale.quantity)
            run.exits.append(sale)
        return Left(is_settled=run.is_settled(request.at), waiting_for="the entry to end")

    @activity.defn
    async def change(self, request: ChangeRun) -> RunChanged:
        self.requests.append(request)
        run = self.rows[request.run_id]
        refusal, message = _why_not(run, request)
        if not refusal:
            if request.sell_at is not None:
                run.sell_at = request.sell_at
            if request.stop_loss is not None and request.stop_loss != run.stop_loss:
                run.change_stop(request.stop_loss)
        if self.script.change is not None:
            await self.script.change.pass_through()
        return RunChanged(run.sell_at, run.stop_loss, run.stop_version, refusal, message)

    @activity.defn
    async def finish(self, request: Finish) -> StrategyResult:
        self.requests.append(request)
        run = self.rows[request.run_id]
        if self.script.finish_fails:
            self.script.finish_fails -= 1
            raise RuntimeError("something is still to be done for this run")
        if run.state is not RunState.ENDED:
            if run.is_alive or (run.entries and not run.is_settled(request.at)):
                raise RuntimeError("an order of this run is still alive or in doubt")
            run.end(request.reason, request.detail)
        return run.result()

    @activity.defn
    async def prepare_runs(self, request: PrepareRuns) -> PreparedRuns:
        self.requests.append(request)
        return self.script.pages[request.after]


def _is_outdated(run: RunRow, request: Leave) -> bool:
    if request.reason is not ExitReason.STOP_LOSS or request.hit is None or run.exit_wanted_at is not None:
        return False
    return request.hit.stop_version < run.stop_version and request.hit.price > run.stop_loss


def _note_wish(run: RunRow, request: Leave) -> None:
    run.give_up_entry()
    if not request.square_off and not run.stop_requested:
        run.take_stop(square_off=False, at=request.wanted_at)
    elif request.square_off and not run.leave_open and not run.holding.is_flat:
        run.want_exit(request.reason, request.wanted_at)


def _why_not(run: RunRow, request: ChangeRun) -> tuple[str, str]:
    if run.state is RunState.ENDED:
        return ChangeRefusal.RUN_ENDED.value, "the run has ended"
    if run.exit_wanted_at is not None or run.leave_open:
        return ChangeRefusal.EXIT_HAS_BEGUN.value, "the exit has begun; nothing can be changed any more"
    if request.sell_at is not None and request.sell_at <= request.at:
        return ChangeRefusal.SELL_TIME_PASSED.value, "the new sell time has passed already"
    if request.sell_at is not None and request.sell_at <= run.plan.buy_at:
        return ChangeRefusal.SELL_NOT_AFTER_BUY.value, "the new sell time is not after the buy time"
    return "", ""


def price_at_stop(entry: OrderRow) -> None:
    entry.supersede(SupersededFor.PRICE_AT_STOP)


def refused_by_broker(entry: OrderRow) -> None:
    entry.end(OrderState.REJECTED, message="RMS: margin exceeded")


def kill_switch_engaged(entry: OrderRow) -> None:
    entry.supersede(SupersededFor.KILL_SWITCH)
