"""The guard: nobody's run is without someone looking after it. Runs in every worker; a database lock lets one of them act.

Two things it knows from the rows and from Temporal: a run whose rows say that all is done, but whose workflow does not know it
(its shares were sold by somebody else, a signal was lost, a kill switch came while Temporal was away), is told. An open run whose
workflow is gone is alarmed within a quarter of a minute and gets a new workflow, which takes over from the rows. One whose
workflow cannot go on is alarmed when its turn to be asked comes, twenty a second. Until then the desk covers it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, func, or_, select
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.messages import RunSettled, StopRequested
from execution.alarms import Alarm, clear_alarm, raise_alarm
from execution.rows import load_runs
from execution.rush import Rush
from execution.starting import strategy_input
from execution.timeline import tell
from execution.views import run_view
from runtime.rounds import rounds_for_ever
from runtime.temporal import is_gone
from storage.any_of import any_of
from storage.database import Database
from storage.models import Alert, Order, Run
from trading.lead import Lead
from trading.next_step import is_settled
from trading.ports.clock import Clock
from trading.runs import ExitReason, RunState
from workflows import names
from workflows.strategy import StrategyWorkflow
from workflows.trading_day import search_attributes

_log = structlog.get_logger()

ROUND_SECONDS = 2.0
# A guard that hangs is followed by another after this long; more than a round usually takes.
SILENCE_SECONDS = 30.0
# The running workflows are counted this often, so a lost one is noticed within a quarter of a minute, however many there are.
COUNT_EVERY = timedelta(seconds=10)
LIST_PAGE = 250
LIST_PAUSE = 0.05
# So many workflows are asked after in one round in turn, and so many at the most that were missing in the list.
TURN_PER_ROUND = 40
CHECKS_PER_ROUND = 200
# A run is left to its own workflow for this long after its last change before the guard speaks.
PATIENCE = timedelta(seconds=3)
# A workflow task that has failed this often is a bug, not a hiccup.
FAILED_ATTEMPTS = 3
STUCK = "workflow_stuck"
# Any constant nobody else uses (tests/architecture/test_advisory_locks.py); the worker that holds this lock is the guard.
_GUARD_LOCK = 7_203_114_561


class Guard:
    """`rush`: while orders of a herd leave this process, Temporal is not asked after anybody."""

    def __init__(self, *, database: Database, client: Client, clock: Clock, lead: Lead, task_queue: str, rush: Rush) -> None:
        self._database = database
        self._rush = rush
        self._client = client
        self._clock = clock
        self._lead = lead
        self._task_queue = task_queue
        self._running = (
            f"WorkflowType = '{names.STRATEGY_WORKFLOW}' AND TaskQueue = '{task_queue}' AND ExecutionStatus = 'Running'"
        )
        self._count_at = clock.now()
        self._turn_after = ""

    async def run(self) -> None:
        """For ever; a store or Temporal that is away is tried again."""
        await rounds_for_ever(
            self._database,
            _GUARD_LOCK,
            self.round,
            name="guard",
            pause_seconds=ROUND_SECONDS,
            silence_seconds=SILENCE_SECONDS,
        )

    async def round(self) -> None:
        """One look at everything that is open."""
        await self._tell_settled(await self._settled_candidates())
        await self._tell_unwanted()
        await self._check_workflows()

    async def _settled_candidates(self) -> list[tuple[Run, list[Order]]]:
        async with self._database.transaction() as session:
            flat = select(Run.id).where(
                Run.state.in_([RunState.ENTERING, RunState.HOLDING, RunState.LEAVING]),
                or_((Run.bought > 0) & (Run.bought == Run.sold + Run.taken_elsewhere), Run.handed_over_at.is_not(None)),
                Run.updated_at < self._clock.now() - PATIENCE,
            )
            return await load_runs(session, list(await session.scalars(flat)))

    async def _tell_settled(self, runs: Sequence[tuple[Run, list[Order]]]) -> None:
        now = self._clock.now()
        for run, orders in runs:
            if is_settled(run_view(run, orders), now):
                try:
                    await self._client.get_workflow_handle(run.workflow_id).signal(names.RUN_SETTLED, RunSettled(now))
                except RPCError as error:
                    if not is_gone(error):
                        raise

    async def _tell_unwanted(self) -> None:
        """A kill switch ends a run that has not begun, and its workflow sleeps on because Temporal was away then."""
        unwanted = select(Run).where(
            Run.state == RunState.SCHEDULED,
            Run.exit_reason == ExitReason.KILL_SWITCH,
            Run.exit_wanted_at < self._clock.now() - PATIENCE,
        )
        async with self._database.transaction() as session:
            runs = list(await session.scalars(unwanted))
        for run in runs:
            message = StopRequested(True, "kill_switch", run.exit_wanted_at or self._clock.now(), ExitReason.KILL_SWITCH)
            try:
                await self._client.get_workflow_handle(run.workflow_id).signal(names.STOP_REQUESTED, message)
            except RPCError as error:
                if not is_gone(error):
                    raise

    async def _check_workflows(self) -> None:
        """All in turn, which also tells whose tasks fail; and whenever fewer or more run than should, those that Temporal does
        not list. A count costs next to nothing, a list of ten thousand half a second of Temporal's time."""
        now = self._clock.now()
        runs = await self._next_in_turn(now)
        if now >= self._count_at:
            self._count_at = now + COUNT_EVERY
            runs += await self._missing(now)
        async with self._database.transaction() as session:
            stuck = set(await session.scalars(select(Alert.key).where(Alert.kind == STUCK, Alert.cleared_at.is_(None))))
        for run in runs:
            await self._rush.pass_by()
            await self._check(run, is_known_as_stuck=_alarm(run, STUCK, "").key in stuck)

    async def _next_in_turn(self, now: datetime) -> list[Run]:
        chosen = select(Run).where(_may_be_checked(now), Run.id > self._turn_after).order_by(Run.id).limit(TURN_PER_ROUND)
        async with self._database.transaction() as session:
            runs = list(await session.scalars(chosen))
        self._turn_after = runs[-1].id if len(runs) == TURN_PER_ROUND else ""
        return runs

    async def _missing(self, now: datetime) -> list[Run]:
        """Open runs without a running workflow, as far as Temporal's list knows, which may be a moment behind."""
        async with self._database.transaction() as session:
            count = await session.scalar(select(func.count()).select_from(Run).where(_may_be_checked(now)))
        try:
            if (await self._client.count_workflows(self._running)).count == count:
                return []
            async with self._database.transaction() as session:
                rows = await session.execute(select(Run.workflow_id, Run.id).where(_may_be_checked(now)))
                expected = {row.workflow_id: row.id for row in rows}
            async for workflow_id in self._list_running():
                expected.pop(workflow_id, None)
        except RPCError as error:
            # The list has a store of its own: without it, everybody's turn still comes.
            _log.warning("workflows_not_listed", error=str(error))
            return []
        missing = list(expected.values())
        if len(missing) > CHECKS_PER_ROUND:
            self._count_at = now
        async with self._database.transaction() as session:
            return list(await session.scalars(select(Run).where(Run.id == any_of(missing[:CHECKS_PER_ROUND]))))

    async def _list_running(self) -> AsyncIterator[str]:
        """Ids of the running workflows. The plain call, a small page at a time: what the client makes of each is not needed here,
        and a thousand of them would hold up the orders of this process."""
        request = ListWorkflowExecutionsRequest(namespace=self._client.namespace, page_size=LIST_PAGE, query=self._running)
        while True:
            page = await self._client.workflow_service.list_workflow_executions(request)
            for seen in page.executions:
                yield seen.execution.workflow_id
            if not page.next_page_token:
                return
            request.next_page_token = page.next_page_token
            await asyncio.sleep(LIST_PAUSE)

    async def _check(self, run: Run, *, is_known_as_stuck: bool) -> None:
        try:
            seen = await self._client.get_workflow_handle(run.workflow_id).describe()
        except RPCError as error:
            if not is_gone(error):
                raise
            await self._take_over(run.id, "is gone")
            return
        if seen.status is not WorkflowExecutionStatus.RUNNING:
            await self._take_over(run.id, f"has ended ({seen.status.name.lower() if seen.status else 'unknown'})")
            return
        is_stuck = seen.raw_description.pending_workflow_task.attempt >= FAILED_ATTEMPTS
        if is_stuck or is_known_as_stuck:
            await self._note_stuck(run, stuck=is_stuck)

    async def _take_over(self, run_id: str, what: str) -> None:
        """Start the run's workflow again; it finds in the rows how far the run has come."""
        async with self._database.transaction() as session:
            # Read after Temporal was asked: a workflow that ends has written so before.
            run = await session.get(Run, run_id)
        if run is None or run.state is RunState.ENDED:
            return
        plan = strategy_input(run, self._lead)
        try:
            started = await self._client.start_workflow(
                StrategyWorkflow.run,
                plan,
                id=run.workflow_id,
                task_queue=self._task_queue,
                search_attributes=search_attributes(plan),
            )
        except WorkflowAlreadyStartedError:
            return
        message = f"The workflow of a run {what}; a new one has taken over from the rows"
        async with self._database.transaction() as session:
            row = await session.get_one(Run, run.id)
            tell(session, row, "taken_over", message)
            # Lost again, it is another alarm.
            await raise_alarm(session, _alarm(run, "workflow_lost", message, which=f":{started.first_execution_run_id}"))
        _log.error("workflow_taken_over", run_id=run.id, what=what)

    async def _note_stuck(self, run: Run, *, stuck: bool) -> None:
        alarm = _alarm(run, STUCK, "The workflow of a run fails again and again; its desk still covers the position")
        async with self._database.transaction() as session:
            if stuck and await raise_alarm(session, alarm):
                _log.error("workflow_stuck", run_id=run.id)
            elif not stuck:
                await clear_alarm(session, alarm.key)


def _may_be_checked(now: datetime) -> ColumnElement[bool]:
    """A run that was made a moment ago may not have its workflow yet."""
    return (Run.state != RunState.ENDED) & (Run.created_at <= now - PATIENCE)


def _alarm(run: Run, kind: str, message: str, *, which: str = "") -> Alarm:
    return Alarm(f"{kind}:{run.id}{which}", kind, message, user_id=run.user_id, account_id=run.account_id, run_id=run.id)
