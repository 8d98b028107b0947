"""One strategy's day in a test: its workflow, its clock, its fake activities, and the worker that may come and go."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import uuid4

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from activities.messages import (
    Begin,
    ChangePlan,
    CredentialsRenewed,
    PlanChanged,
    RunSettled,
    RunStatus,
    StopLossHit,
    StopRequested,
    StrategyInput,
    StrategyResult,
    TargetHit,
)
from runtime.settings import Settings
from runtime.temporal_worker import WORKFLOWS, make_worker
from tests.waiting import DEADLINE_SECONDS, eventually
from tests.workflows.fakes import FakeActivities, Script
from tests.workflows.rows import RunRow
from tests.workflows.time import WorkflowTime
from trading.orders import OrderState
from trading.runs import RunState
from trading.sessions import trading_date
from workflows import names
from workflows.strategy import StrategyWorkflow
from workflows.trading_day import search_attributes

Handle = WorkflowHandle[Any, StrategyResult]
T = TypeVar("T")
LEAD_SECONDS = 5.0
STOP = Decimal(3500)


def settings_for(task_queue: str, *, max_cached_workflows: int = 200) -> Settings:
    """Production's shape of worker on a queue of the test's own. Nothing cached: every workflow task replays."""
    settings = Settings(task_queue=task_queue, max_concurrent_activities=100, _env_file=None)
    return settings.model_copy(update={"max_cached_workflows": max_cached_workflows})


@dataclass
class Day:
    client: Client
    time: WorkflowTime
    settings: Settings
    fakes: FakeActivities
    # None: the server's ten seconds. After so long a task is given again that a worker took with it when it left.
    task_timeout: timedelta | None = None

    @property
    def script(self) -> Script:
        return self.fakes.script

    def worker(self) -> AbstractAsyncContextManager[Any]:
        return make_worker(self.client, self.settings, self.fakes.all, sandboxed=True)

    # --- plans and runs -----------------------------------------------------------------------------------------------

    def plan(self, *, buy_in: timedelta = timedelta(0), sell_in: timedelta = timedelta(hours=5), **changes: Any) -> StrategyInput:
        """A plan whose instants are that far from now, with a row of its own."""
        now = datetime.now(UTC)
        name = uuid4().hex[:12]
        plan = StrategyInput(
            run_id=f"run_{name}",
            strategy_id=f"str_{name}",
            user_id="usr_1",
            account_id="brk_1",
            exchange="NSE",
            symbol="TCS",
            quantity=10,
            trading_day=trading_date(now),
            buy_at=now + buy_in,
            sell_at=now + sell_in,
            stop_loss=STOP,
            stop_version=1,
            max_lateness_seconds=None,
            lead_seconds=LEAD_SECONDS,
            entry_deadline_seconds=30.0,
        )
        plan = replace(plan, **changes)
        self.fakes.rows[plan.run_id] = RunRow.of(plan)
        return plan

    def row(self, plan: StrategyInput) -> RunRow:
        return self.fakes.rows[plan.run_id]

    async def start(self, plan: StrategyInput, *, skipping: bool = False) -> Handle:
        """In real time, unless `skipping`: then it jumps over every idle stretch by itself."""
        client = self.time.skipping_client if skipping else self.client
        return await client.start_workflow(
            StrategyWorkflow.run,
            plan,
            id=names.strategy_workflow_id(plan.strategy_id, plan.trading_day),
            task_queue=self.settings.task_queue,
            task_timeout=self.task_timeout,
            search_attributes=search_attributes(plan),
        )

    async def result(self, handle: Handle) -> StrategyResult:
        """How the run ends, jumping over the time until then. Its history must replay."""
        await self.time.forward_to_the_end(handle)
        result = await handle.result()
        await replay(await handle.fetch_history())
        return result

    async def hold(self, plan: StrategyInput | None = None) -> tuple[StrategyInput, Handle]:
        """A run that has bought and waits for a reason to sell."""
        plan = plan or self.plan()
        handle = await self.start(plan)
        await self.until_state(handle, RunState.HOLDING)
        return plan, handle

    def fill_partly(self, plan: StrategyInput, filled: int) -> None:
        """The entry is out, and rests with a part of it filled."""
        self.row(plan).entries[0].end(OrderState.OPEN, filled=filled)

    # --- messages -----------------------------------------------------------------------------------------------------

    def hit(self, plan: StrategyInput, price: str = "3490", *, version: int = 1) -> StopLossHit:
        return StopLossHit(plan.symbol, Decimal(price), version, f"{plan.run_id}:{version}", datetime.now(UTC))

    async def hit_stop(self, handle: Handle, plan: StrategyInput, price: str = "3490", *, version: int = 1) -> None:
        await handle.signal(names.STOP_LOSS_HIT, self.hit(plan, price, version=version))

    async def hit_target(self, handle: Handle, plan: StrategyInput, price: str = "3800", *, version: int = 1) -> None:
        hit = self.hit(plan, price, version=version)
        await handle.signal(names.TARGET_HIT, TargetHit(hit.symbol, hit.price, hit.stop_version, hit.trigger_id, hit.at))

    async def request_stop(self, handle: Handle, plan: StrategyInput, *, square_off: bool, rows_first: bool = True) -> None:
        """As the API does: the row first, then the workflow."""
        at = datetime.now(UTC)
        if rows_first:
            self.row(plan).take_stop(square_off=square_off, at=at)
        await handle.signal(names.STOP_REQUESTED, StopRequested(square_off, plan.user_id, at))

    async def change(self, handle: Handle, *, sell_at: datetime | None = None, stop_loss: Decimal | None = None) -> PlanChanged:
        changed: PlanChanged = await handle.execute_update(
            names.CHANGE_PLAN, ChangePlan(sell_at, stop_loss), result_type=PlanChanged
        )
        return changed

    async def renew_credentials(self, handle: Handle, plan: StrategyInput) -> None:
        await handle.signal(names.CREDENTIALS_RENEWED, CredentialsRenewed(plan.account_id, datetime.now(UTC)))

    async def tell_settled(self, handle: Handle) -> None:
        """As the guard does when the rows say that nothing is left to sell."""
        await handle.signal(names.RUN_SETTLED, RunSettled(datetime.now(UTC)))

    # --- looking ------------------------------------------------------------------------------------------------------

    async def status(self, handle: Handle) -> RunStatus:
        status: RunStatus = await handle.query(names.STATUS, result_type=RunStatus)
        return status

    async def until_state(self, handle: Handle, state: RunState) -> None:
        await until(lambda: self.status(handle), lambda status: status.state is state, f"the run is {state.value}")

    async def until_it_waits_for(self, handle: Handle, what: str) -> None:
        await until(lambda: self.status(handle), lambda status: status.waiting_for == what, f"the run waits for {what}")

    async def until_asked(self, kind: type[object], times: int = 1) -> None:
        await eventually(lambda: len(self.fakes.asked(kind)) >= times, f"{times} x {kind.__name__}")

    async def until_asked_to_begin(self) -> None:
        await self.until_asked(Begin)


async def until(look: Callable[[], Awaitable[T]], is_so: Callable[[T], bool], what: str) -> T:
    """Look again and again until it is so; returns what was seen then."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DEADLINE_SECONDS
    while True:
        seen = await look()
        if is_so(seen):
            return seen
        assert loop.time() < deadline, f"not within {DEADLINE_SECONDS:.0f} s: {what}; last seen: {seen}"
        await asyncio.sleep(0.02)


async def events(handle: Handle) -> list[HistoryEvent]:
    return [event async for event in handle.fetch_history_events()]


async def replay(history: WorkflowHistory) -> None:
    """Raises what today's code would do differently."""
    await Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter).replay_workflow(history)


@asynccontextmanager
async def open_day(client: Client, settings: Settings, *, with_worker: bool = True) -> AsyncIterator[Day]:
    day = Day(client, WorkflowTime(client), settings, FakeActivities())
    if not with_worker:
        day.task_timeout = timedelta(seconds=2)
        yield day
        return
    async with day.worker():
        yield day
