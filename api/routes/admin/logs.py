"""The logs: orders, runs, errors, failed broker calls; by time and by text."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from api.declared import BODY, SIGNED_IN, errors
from api.deps import CurrentCaller, Platform
from api.errors import ErrorCode
from api.paging import Cursor, Limit, read_id_cursor
from api.routes.admin.spans import From, To
from api.routes.admin.users import Search
from api.routes.tags import ADMIN
from api.schemas.common import Page
from api.schemas.logs import Log, LogLine
from storage.models import LogEntry, LogKind, OrderLog, RunEvent
from storage.repositories import order_log, platform_log
from storage.repositories.platform_log import LogFilter

reading = APIRouter(prefix="/admin", tags=[ADMIN])

DEFAULT_SPAN = timedelta(days=1)
_PREFIXES = {
    Log.ORDERS: OrderLog.id_prefix,
    Log.RUNS: RunEvent.id_prefix,
    Log.ERRORS: LogEntry.id_prefix,
    Log.BROKER: LogEntry.id_prefix,
}


@reading.get("/logs", operation_id="adminLogs", responses=errors(SIGNED_IN, BODY, ErrorCode.FORBIDDEN, ErrorCode.INVALID_CURSOR))
async def list_logs(
    admin: CurrentCaller,
    platform: Platform,
    log: Annotated[Log, Query(description="Which log")] = Log.ERRORS,
    search: Search = None,
    from_at: From = None,
    to_at: To = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[LogLine]:
    """One log, newest first; `query` looks in every column people read. Without `from`: the day before `to`, or before now."""
    before = read_id_cursor(cursor, prefix=_PREFIXES[log])
    # A line may carry the time of a machine that is a little ahead.
    until = to_at or platform.clock.now() + timedelta(minutes=1)
    wanted = LogFilter(from_at or until - DEFAULT_SPAN, until, search)
    async with platform.database.unhurried() as session:
        lines = await _lines(session, log, wanted, before=before, limit=limit + 1)
    shown = lines[:limit]
    return Page(items=shown, next_cursor=shown[-1].line_id if len(lines) > limit else None)


async def _lines(session: AsyncSession, log: Log, wanted: LogFilter, *, before: str | None, limit: int) -> Sequence[LogLine]:
    if log is Log.ORDERS:
        return [_of_order(row) for row in await order_log.requests(session, wanted, before=before, limit=limit)]
    if log is Log.RUNS:
        return [_of_run(row) for row in await order_log.run_events(session, wanted, before=before, limit=limit)]
    kind = LogKind.ERROR if log is Log.ERRORS else LogKind.BROKER
    return [_of_platform(row) for row in await platform_log.page(session, kind, wanted, before=before, limit=limit)]


def _of_order(row: OrderLog) -> LogLine:
    outcome = str(row.answer.get("outcome", ""))
    words = row.answer.get("message") or row.answer.get("why") or ""
    return LogLine(
        line_id=row.id,
        at=row.at,
        level="info" if outcome in ("placed", "accepted") else "warning",
        event=row.what,
        message=f"{outcome}: {words}" if words else outcome,
        user_id=row.user_id,
        account_id=row.account_id,
        order_id=row.order_id,
        data={"request": row.request, "answer": row.answer},
    )


def _of_run(row: RunEvent) -> LogLine:
    return LogLine(
        line_id=row.id,
        at=row.at,
        level="info",
        event=row.kind,
        message=row.message,
        user_id=row.user_id,
        run_id=row.run_id,
        data={**row.data, "late_ms": row.late_ms} if row.late_ms is not None else row.data,
    )


def _of_platform(row: LogEntry) -> LogLine:
    account_id = row.data.get("account_id")
    return LogLine(
        line_id=row.id,
        at=row.at,
        level=row.level,
        event=row.event,
        message=row.message,
        process=row.process,
        account_id=str(account_id) if account_id else None,
        data=row.data,
    )
