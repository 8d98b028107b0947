"""Live streams (SSE): every line of the timeline as it is written, resumable, and never a line twice or lost."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sse_starlette import EventSourceResponse, ServerSentEvent

from api.access import may_go_on
from api.answers import alert_answer, event_answer, status_answer
from api.declared import PARAMETERS, SIGNED_IN, Responses, errors
from api.deps import Caller, CurrentCaller, Platform, StrategyId
from api.errors import ApiError, ErrorCode
from api.paging import read_number_cursor
from api.routes.tags import STREAMS
from api.schemas.strategy import Status, TimelineEvent
from api.schemas.streams import StreamSnapshot
from api.schemas.trading import AlertAnswer
from api.services import Services
from api.status import read_status
from api.stream_alerts import AlertChanges
from cache import rebuild
from storage.models import Strategy
from storage.repositories import strategies, timeline
from trading.runs import StrategyState

router = APIRouter(tags=[STREAMS])

HEARTBEAT_SECONDS = 15
SEND_TIMEOUT_SECONDS = 30
PAGE = 200
# While something written is not settled yet; longer each time, up to the last.
SETTLE_PAUSES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
RETRY_MILLISECONDS = 1_000

LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="Go on after this event; left out: begin with what happens from now on"),
]
_EXAMPLE = (
    'event: status\ndata: {"strategy_id": "str_...", "status": "running", "position": "BOUGHT"}\n\n'
    'id: 41\nevent: run_event\ndata: {"sequence": 41, "kind": "bought", "message": "Bought 10 TCS at ₹3,512.50"}\n\n'
)
_ALL_EXAMPLE = (
    'event: snapshot\ndata: {"as_of": "2026-11-20T03:50:00Z", "strategies": [], "alerts": []}\n\n'
    'id: 41\nevent: run_event\ndata: {"sequence": 41, "kind": "bought", "message": "Bought 10 TCS at ₹3,512.50"}\n\n'
    'event: alert\ndata: {"alert_id": "alt_...", "kind": "token_expired", "cleared_at": null}\n\n'
)


def _stream(example: str, *, model: Any, events: str) -> Responses:
    """`model`: the schemas of the events' `data`; `events`: which is which."""
    content = {"text/event-stream": {"example": example}}
    return {200: {"description": f"Server-sent events. `data` is JSON: {events}", "model": model, "content": content}}


@router.get(
    "/strategy/{strategy_id}/stream",
    operation_id="streamStrategy",
    response_class=EventSourceResponse,
    responses={
        **_stream(_EXAMPLE, model=Status | TimelineEvent, events="`status` is a Status, `run_event` a TimelineEvent"),
        **errors(SIGNED_IN, PARAMETERS, ErrorCode.STRATEGY_NOT_FOUND, ErrorCode.INVALID_CURSOR),
    },
)
async def stream_strategy(
    strategy_id: StrategyId, caller: CurrentCaller, platform: Platform, last_event_id: LastEventId = None
) -> EventSourceResponse:
    """`run_event`: a line of the timeline; its id is the place to resume from. `status`: how it stands, first and after lines."""
    async with platform.database.transaction() as session:
        if await strategies.find(session, strategy_id=strategy_id, user_id=caller.user_id) is None:
            raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
    after = await _after(platform, caller, last_event_id, strategy_id=strategy_id)
    return _response(_events(platform, caller, strategy_id=strategy_id, after=after))


@router.get(
    "/stream",
    operation_id="streamAll",
    response_class=EventSourceResponse,
    responses={
        **_stream(
            _ALL_EXAMPLE,
            model=StreamSnapshot | TimelineEvent | AlertAnswer,
            events="`snapshot` is a StreamSnapshot, `run_event` a TimelineEvent, `alert` an AlertAnswer",
        ),
        **errors(SIGNED_IN, PARAMETERS, ErrorCode.INVALID_CURSOR),
    },
)
async def stream_all(caller: CurrentCaller, platform: Platform, last_event_id: LastEventId = None) -> EventSourceResponse:
    """`snapshot` first: running strategies and open alerts. Then the lines of all the user's strategies in the order they were
    written (`run_event`), and each alert that begins, is acknowledged or ends (`alert`, `not_ready` among them)."""
    after = await _after(platform, caller, last_event_id, strategy_id=None)
    return _response(_events(platform, caller, strategy_id=None, after=after))


async def _after(platform: Services, caller: Caller, last_event_id: str | None, *, strategy_id: str | None) -> int:
    given = read_number_cursor(last_event_id)
    if given is not None:
        return given
    async with platform.database.transaction() as session:
        return await timeline.newest_sequence(session, user_id=caller.user_id, strategy_id=strategy_id)


def _response(events: AsyncIterator[ServerSentEvent]) -> EventSourceResponse:
    return EventSourceResponse(
        events,
        ping=HEARTBEAT_SECONDS,
        send_timeout=SEND_TIMEOUT_SECONDS,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(platform: Services, caller: Caller, *, strategy_id: str | None, after: int) -> AsyncIterator[ServerSentEvent]:
    settled = timeline.SettledEvents(user_id=caller.user_id, strategy_id=strategy_id, after=after)
    yield ServerSentEvent(comment="connected", retry=RETRY_MILLISECONDS)
    changes = AlertChanges(user_id=caller.user_id)
    with platform.hub.bell(caller.user_id) as bell:
        if strategy_id is None:
            async for snapshot in _snapshot(platform, caller, changes):
                yield snapshot
        else:
            async for status in _status(platform, caller, strategy_id):
                yield status
        # It ends with its access token, session or key, and with a suspension; the client comes back with a new token.
        while await may_go_on(platform, caller):
            fresh = False
            async for event in _fresh(platform, settled):
                fresh = True
                yield event
            if fresh and strategy_id is not None:
                async for status in _status(platform, caller, strategy_id):
                    yield status
            if strategy_id is None:
                async for alert in _alerts(platform, changes):
                    yield alert
            await bell.wait()


async def _fresh(platform: Services, settled: timeline.SettledEvents) -> AsyncIterator[ServerSentEvent]:
    """Everything written until now. A database that is away means nothing new for the moment."""
    waited = 0
    while True:
        try:
            async with platform.database.transaction() as session:
                events = await settled.read(session, limit=PAGE)
        except (SQLAlchemyError, OSError):
            return
        for event in events:
            yield ServerSentEvent(data=event_answer(event).model_dump_json(), event="run_event", id=str(event.sequence))
        if not settled.is_waiting:
            return
        waited = 0 if events else waited + 1
        await asyncio.sleep(SETTLE_PAUSES[min(waited, len(SETTLE_PAUSES) - 1)])


async def _snapshot(platform: Services, caller: Caller, changes: AlertChanges) -> AsyncIterator[ServerSentEvent]:
    """Nothing while the database is away: what is open then follows as `alert`, and each strategy with its next line."""
    try:
        async with platform.database.transaction() as session:
            running = select(Strategy.id).where(
                Strategy.user_id == caller.user_id, Strategy.state == StrategyState.RUNNING, Strategy.deleted_at.is_(None)
            )
            ids = (await session.scalars(running.order_by(Strategy.id.desc()).limit(PAGE))).all()
            views = await rebuild.read_views(session, ids)
            alerts = await changes.read(session)
    except (SQLAlchemyError, OSError):
        return
    shown = StreamSnapshot(
        as_of=platform.clock.now(),
        strategies=[status_answer(view) for view, _ in views],
        alerts=[alert_answer(alert) for alert in alerts],
    )
    yield ServerSentEvent(data=shown.model_dump_json(), event="snapshot")


async def _alerts(platform: Services, changes: AlertChanges) -> AsyncIterator[ServerSentEvent]:
    try:
        async with platform.database.transaction() as session:
            changed = await changes.read(session)
    except (SQLAlchemyError, OSError):
        return
    for alert in changed:
        yield ServerSentEvent(data=alert_answer(alert).model_dump_json(), event="alert")


async def _status(platform: Services, caller: Caller, strategy_id: str) -> AsyncIterator[ServerSentEvent]:
    try:
        view = await read_status(platform, strategy_id=strategy_id, user_id=caller.user_id)
    except (SQLAlchemyError, OSError):
        return
    if view is not None:
        yield ServerSentEvent(data=status_answer(view).model_dump_json(), event="status")
