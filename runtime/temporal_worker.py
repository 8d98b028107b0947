"""The Temporal worker: which workflows and activities, how many at once, and why (design part 19)."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)
from temporalio.worker import PollerBehaviorSimpleMaximum, UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from runtime.settings import Settings
from workflows.names import READINESS_TIMES, RECONCILE_SCHEDULE, TRADING_DAY_SCHEDULE, readiness_schedule
from workflows.playground import PlaygroundWorkflow
from workflows.readiness import ReadinessWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.strategy import StrategyWorkflow
from workflows.trading_day import TradingDayWorkflow

WORKFLOWS: list[type[Any]] = [
    StrategyWorkflow,
    TradingDayWorkflow,
    ReconcileWorkflow,
    ReadinessWorkflow,
    PlaygroundWorkflow,
]

# The schedule runs before the market opens; a morning missed by less than this is caught up with.
CATCH_UP = timedelta(hours=6)
# A look before the open that comes later than this tells nobody anything new: the market is open.
LOOK_CATCH_UP = timedelta(minutes=20)
# How often accounts are compared with their brokers. A round that was missed is not caught up with: the next one is near.
RECONCILE_EVERY = timedelta(seconds=30)


def make_worker(
    client: Client, settings: Settings, activities: Sequence[Callable[..., Any]], *, sandboxed: bool = False
) -> Worker:
    """Unsandboxed in production: the sandbox costs 1.3 ms and 50 KiB per run. Tests run sandboxed."""
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=WORKFLOWS,
        activities=activities,
        workflow_runner=SandboxedWorkflowRunner() if sandboxed else UnsandboxedWorkflowRunner(),
        max_cached_workflows=settings.max_cached_workflows,
        # About a hundred was best in measurements: fewer starve, thousands fight for one core.
        max_concurrent_workflow_tasks=100,
        # Above the largest herd, so that eager activities always find a slot.
        max_concurrent_activities=settings.max_concurrent_activities,
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(20),
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(10),
        nonsticky_to_sticky_poll_ratio=0.4,
        # By itself the library would hold heartbeats back for four fifths of their timeout, which leaves no time to be late.
        max_heartbeat_throttle_interval=timedelta(seconds=4),
        # A dead worker's runs move to another one after this time.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
        graceful_shutdown_timeout=timedelta(seconds=8),
        build_id="1",
    )


async def ensure_schedules(client: Client, settings: Settings) -> None:
    """Create the schedules that are not there; leaves an existing one as an operator set it."""
    await _ensure(client, TRADING_DAY_SCHEDULE, _opening(settings))
    await _ensure(client, RECONCILE_SCHEDULE, _reconciling(settings))
    for check_time in READINESS_TIMES:
        await _ensure(client, readiness_schedule(check_time), _looking(settings, check_time))


async def _ensure(client: Client, name: str, schedule: Schedule) -> None:
    try:
        await client.create_schedule(name, schedule)
    except ScheduleAlreadyRunningError:
        return


def _opening(settings: Settings) -> Schedule:
    """Opens the trading day at 08:45 India time."""
    spec = ScheduleSpec(
        calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(8)], minute=[ScheduleRange(45)])], time_zone_name="Asia/Kolkata"
    )
    action = ScheduleActionStartWorkflow(TradingDayWorkflow.run, id="trading-day", task_queue=settings.task_queue)
    policy = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP)
    return Schedule(action=action, spec=spec, policy=policy)


def _looking(settings: Settings, check_time: str) -> Schedule:
    """Every day at that Indian time; on a holiday the activity finds nothing to do, since only the worker knows the calendar."""
    hour, minute = map(int, check_time.split(":"))
    spec = ScheduleSpec(
        calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(hour)], minute=[ScheduleRange(minute)])],
        time_zone_name="Asia/Kolkata",
    )
    action = ScheduleActionStartWorkflow(
        ReadinessWorkflow.run,
        check_time,
        id=f"readiness-{check_time}",
        task_queue=settings.task_queue,
        static_summary=f"Look whether accounts are ready ({check_time})",
        execution_timeout=timedelta(minutes=30),
    )
    return Schedule(
        action=action, spec=spec, policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=LOOK_CATCH_UP)
    )


def _reconciling(settings: Settings) -> Schedule:
    """Around the clock; outside market hours a round ends at once, since only the worker knows the calendar."""
    action = ScheduleActionStartWorkflow(
        ReconcileWorkflow.run,
        id="reconcile",
        task_queue=settings.task_queue,
        static_summary="Compare accounts with their brokers",
        execution_timeout=timedelta(minutes=10),
    )
    policy = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=RECONCILE_EVERY)
    return Schedule(action=action, spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=RECONCILE_EVERY)]), policy=policy)
