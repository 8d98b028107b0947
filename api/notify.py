"""Telling the rest of the platform after a commit. All of it is best effort: the rows have decided already."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta

import structlog
from temporalio.client import RPCTimeoutOrCancelledError, WorkflowUpdateFailedError, WorkflowUpdateStage
from temporalio.service import RPCError

from api.services import Services
from cache import rebuild
from cache.channels import ArmedStop, publish_armed, publish_order_hint, publish_run_event, publish_runs_changed
from cache.connection import CacheUnavailable
from cache.runtime_view import RuntimeView
from execution.rows import newest_events
from runtime.temporal import is_gone
from storage.models import Run
from storage.repositories import timeline

log = structlog.get_logger()

# Longer than a healthy Temporal ever takes; a caller does not wait for a sick one.
TELL_TIMEOUT = timedelta(seconds=2)
SIGNALS_AT_ONCE = 20
# A kill switch over many runs answers after this at the latest; the rows have decided long before.
TELL_ALL_SECONDS = 5.0
VIEWS_AT_ONCE = 100
# What a call to Temporal raises when Temporal is away: the lazy client reports a failed connection as a RuntimeError.
# The update call wraps its own timeout in an error that is none of the others.
TEMPORAL_AWAY = (RPCError, RPCTimeoutOrCancelledError, RuntimeError, OSError, TimeoutError)


async def strategy_changed(services: Services, *, strategy_id: str, user_id: str, account_id: str | None = None) -> None:
    """Bring the view up to date; wake streams, the listener, and the account's desk."""
    try:
        await rebuild.refresh(services.database, services.redis, [strategy_id])
        async with services.database.transaction() as session:
            newest = await timeline.newest_sequence(session, user_id=user_id, strategy_id=strategy_id)
        await publish_run_event(services.redis, user_id, strategy_id, sequence=newest)
        await publish_runs_changed(services.redis)
        if account_id is not None:
            await publish_order_hint(services.redis, account_id)
    except CacheUnavailable as error:
        _redis_is_away(services, error)


async def runs_changed(services: Services, runs: Sequence[Run]) -> None:
    """As `strategy_changed` for many runs: their desks first, then what people look at."""
    try:
        for account_id in sorted({run.account_id for run in runs}):
            await publish_order_hint(services.redis, account_id)
        ids = sorted({run.strategy_id for run in runs})
        for first in range(0, len(ids), VIEWS_AT_ONCE):
            batch = ids[first : first + VIEWS_AT_ONCE]
            await rebuild.refresh(services.database, services.redis, batch)
            async with services.database.transaction() as session:
                hints = await newest_events(session, batch)
            for hint in hints:
                await publish_run_event(services.redis, hint.user_id, hint.strategy_id, sequence=hint.sequence)
        await publish_runs_changed(services.redis)
    except CacheUnavailable as error:
        _redis_is_away(services, error)


async def stop_moved(services: Services, stop: ArmedStop | None) -> None:
    """Tell the listener of the new stop at once: a price may cross it before the listener reads the rows again."""
    if stop is None:
        return
    try:
        await publish_armed(services.redis, [stop])
    except CacheUnavailable as error:
        _redis_is_away(services, error)


async def strategy_deleted(services: Services, *, strategy_id: str) -> None:
    try:
        await RuntimeView(services.redis).forget(strategy_id)
    except CacheUnavailable as error:
        _redis_is_away(services, error)


async def account_changed(services: Services, *, account_id: str) -> None:
    """Wake the account's desk and whoever chooses a market feed."""
    try:
        await publish_order_hint(services.redis, account_id)
        await publish_runs_changed(services.redis)
    except CacheUnavailable as error:
        _redis_is_away(services, error)


async def signal(services: Services, *, workflow_id: str, name: str, message: object) -> bool:
    """Whether the workflow has it. False: Temporal is away, or the workflow has ended."""
    handle = services.temporal.get_workflow_handle(workflow_id)
    try:
        async with asyncio.timeout(TELL_TIMEOUT.total_seconds()):
            await handle.signal(name, message, rpc_timeout=TELL_TIMEOUT)
    except TEMPORAL_AWAY as error:
        if not (isinstance(error, RPCError) and is_gone(error)):
            log.warning("workflow_not_signalled", workflow_id=workflow_id, signal=name, error=type(error).__name__)
        return False
    return True


async def update(services: Services, *, workflow_id: str, name: str, message: object) -> bool:
    """Whether the workflow has accepted it. False: Temporal or the worker is away, or the workflow has ended or refused."""
    handle = services.temporal.get_workflow_handle(workflow_id)
    try:
        async with asyncio.timeout(TELL_TIMEOUT.total_seconds()):
            await handle.start_update(name, message, wait_for_stage=WorkflowUpdateStage.ACCEPTED, rpc_timeout=TELL_TIMEOUT)
    except (*TEMPORAL_AWAY, WorkflowUpdateFailedError) as error:
        log.warning("workflow_not_updated", workflow_id=workflow_id, update=name, error=type(error).__name__)
        return False
    return True


async def signal_all(services: Services, *, workflow_ids: Iterable[str], name: str, message: object) -> int:
    """How many workflows have it. Those that do not within `TELL_ALL_SECONDS` hear it from the guard."""
    slots = asyncio.Semaphore(SIGNALS_AT_ONCE)

    async def one(workflow_id: str) -> bool:
        async with slots:
            return await signal(services, workflow_id=workflow_id, name=name, message=message)

    telling = [asyncio.create_task(one(workflow_id)) for workflow_id in workflow_ids]
    if not telling:
        return 0
    told, late = await asyncio.wait(telling, timeout=TELL_ALL_SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    if late:
        log.warning("workflows_not_told_in_time", signal=name, told=len(told), late=len(late))
    return sum(task.result() for task in told)


def _redis_is_away(services: Services, error: CacheUnavailable) -> None:
    services.metrics.count("redis_failures")
    log.warning("told_without_redis", error=str(error))
