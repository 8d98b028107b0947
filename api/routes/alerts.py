"""Alerts: what is wrong now, what was, and that a person has seen it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.answers import alert_answer
from api.declared import BODY, IDEMPOTENT, SIGNED_IN, errors
from api.deps import AlertId, Caller, CurrentCaller, Platform, idempotency_key
from api.errors import ApiError, ErrorCode
from api.idempotency import IdempotentRoute
from api.paging import Cursor, FilterText, Limit, read_id_cursor
from api.routes.tags import SAFETY
from api.schemas.common import Page
from api.schemas.trading import AlertAnswer
from execution.alarm_kinds import ENDED_BY_A_PERSON, FOR_EVERYBODY
from storage.models import Role, Severity
from storage.repositories import alerts, audit

router = APIRouter(tags=[SAFETY], route_class=IdempotentRoute, dependencies=[Depends(idempotency_key)])
reading = APIRouter(tags=[SAFETY])

Everyone = Annotated[bool, Query(description="Those of all users; for an Admin")]


@reading.get(
    "/alerts", operation_id="listAlerts", responses=errors(SIGNED_IN, BODY, ErrorCode.INVALID_CURSOR, ErrorCode.FORBIDDEN)
)
async def list_alerts(
    caller: CurrentCaller,
    platform: Platform,
    only_open: bool = True,
    kind: FilterText | None = None,
    severity: Severity | None = None,
    everyone: Everyone = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[AlertAnswer]:
    """The user's own alerts and the platform's, newest first; `only_open` leaves out what is over or acknowledged."""
    if everyone and caller.role is not Role.ADMIN:
        raise ApiError(ErrorCode.FORBIDDEN)
    before = read_id_cursor(cursor, prefix="alt")
    chosen = alerts.Filter(only_open=only_open, kind=kind, severity=severity)
    async with platform.database.transaction() as session:
        sight = alerts.Sight(caller.user_id, FOR_EVERYBODY, sees_all=everyone)
        rows = await alerts.page(session, sight=sight, chosen=chosen, before=before, limit=limit + 1)
    shown = rows[:limit]
    return Page(items=[alert_answer(alert) for alert in shown], next_cursor=shown[-1].id if len(rows) > limit else None)


@router.post(
    "/alerts/{alert_id}/acknowledge",
    operation_id="acknowledgeAlert",
    responses=errors(SIGNED_IN, IDEMPOTENT, ErrorCode.ALERT_NOT_FOUND, ErrorCode.FORBIDDEN),
)
async def acknowledge(alert_id: AlertId, caller: CurrentCaller, platform: Platform) -> AlertAnswer:
    """Say that a person has seen it. What only a person can end is over with that; the rest lasts until its cause is gone."""
    now = platform.clock.now()
    async with platform.database.transaction() as session:
        alert = await alerts.find_for_update(session, alert_id=alert_id, sight=_sight(caller))
        if alert is None:
            raise ApiError(ErrorCode.ALERT_NOT_FOUND)
        if alert.user_id is None and caller.role is not Role.ADMIN:
            raise ApiError(ErrorCode.FORBIDDEN)
        if alert.acknowledged_at is None:
            alert.acknowledged_at, alert.acknowledged_by = now, caller.user_id
        if alert.cleared_at is None and alert.kind in ENDED_BY_A_PERSON:
            alert.cleared_at = now
        await audit.append(session, actor_id=caller.user_id, action="alert.acknowledge", subject_id=alert_id, now=now)
    return alert_answer(alert)


def _sight(caller: Caller) -> alerts.Sight:
    return alerts.Sight(caller.user_id, FOR_EVERYBODY, sees_all=caller.role is Role.ADMIN)
