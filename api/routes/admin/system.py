"""The installation at a glance, and series for charts."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from api import series, system_report
from api.declared import BODY, SIGNED_IN, errors
from api.deps import CurrentCaller, Platform
from api.errors import ErrorCode
from api.routes.operation import read_readiness
from api.routes.tags import ADMIN
from api.schemas.system import MetricSeries, SeriesName, System
from api.system_report import or_none
from runtime.version import VERSION
from storage.repositories import system

reading = APIRouter(prefix="/admin", tags=[ADMIN])


@reading.get("/system", operation_id="adminSystem", responses=errors(SIGNED_IN, ErrorCode.FORBIDDEN))
async def get_system(admin: CurrentCaller, platform: Platform) -> System:
    """Each process, feed, queue and store with its state. A part that does not answer within two seconds is null."""
    async with platform.database.transaction() as session:
        counts = await system.read(session)
    readiness, beats, (leases, queues, redis, postgres, budgets) = await asyncio.gather(
        read_readiness(platform),
        or_none(lambda: system_report.read_all_beats(platform)),
        asyncio.gather(
            or_none(lambda: system_report.lease_state(platform)),
            or_none(lambda: system_report.task_queues(platform)),
            or_none(lambda: system_report.redis_state(platform)),
            or_none(lambda: system_report.postgres_state(platform)),
            or_none(lambda: system_report.budgets(platform)),
        ),
    )
    return System(
        version=VERSION,
        readiness=readiness,
        users=counts.users,
        strategies=counts.strategies,
        open_runs=counts.open_runs,
        orders_in_doubt=counts.orders_in_doubt,
        open_alerts=counts.open_alerts,
        temporal_ui_url=platform.settings.temporal_ui_url,
        processes=None if beats is None else system_report.processes(platform, beats),
        feed=None if beats is None else system_report.feed(beats),
        leases=leases,
        task_queues=queues,
        redis=redis,
        postgres=postgres,
        budgets=budgets,
        clock=system_report.clock_state(platform),
    )


@reading.get("/system/metrics", operation_id="adminMetrics", responses=errors(SIGNED_IN, BODY, ErrorCode.FORBIDDEN))
async def get_metrics(
    admin: CurrentCaller,
    platform: Platform,
    name: Annotated[list[SeriesName] | None, Query(description="Which series; all when left out")] = None,
    minutes: Annotated[int, Query(ge=1, le=14 * 24 * 60, description="How far back; two weeks are kept")] = 60,
    step_minutes: Annotated[
        int | None, Query(ge=1, le=24 * 60, description="Minutes in one point; left out: few enough points for a chart")
    ] = None,
) -> MetricSeries:
    """What all processes together measured, up to the last whole minute. Needs no Prometheus."""
    span = series.span_of(platform.clock.now(), minutes=minutes, step_minutes=step_minutes)
    names = list(dict.fromkeys(name or SeriesName))
    async with platform.database.unhurried() as session:
        found = await series.read(session, names, span)
    return MetricSeries(from_at=span.from_at, to_at=span.to_at, step_seconds=int(span.step.total_seconds()), series=found)
