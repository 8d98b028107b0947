"""Live streams (SSE): how everything stands, and then whatever changes. What they carry is in `api/live/`."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from sse_starlette import EventSourceResponse

from api.declared import PARAMETERS, SIGNED_IN, Responses, errors
from api.deps import Caller, CurrentCaller, Platform, StrategyId
from api.errors import ApiError, ErrorCode
from api.live import examples
from api.live.response import LiveResponse
from api.live.stream import Wanted, stream
from api.paging import read_number_cursor
from api.routes.tags import STREAMS
from api.services import Services
from storage.models import Strategy
from storage.repositories import strategies, timeline

HEARTBEAT_SECONDS = 15


async def place(caller: CurrentCaller, platform: Platform) -> AsyncIterator[None]:
    """Held until the connection is done with. Raises ApiError TOO_MANY_STREAMS."""
    with platform.hub.place(caller.user_id) as is_free:
        if not is_free:
            raise ApiError(ErrorCode.TOO_MANY_STREAMS)
        yield


router = APIRouter(tags=[STREAMS], dependencies=[Depends(place)])

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="Send the lines after this one as well; left out: what happens from now on",
        examples=["41"],
    ),
]
_REFUSALS = (ErrorCode.INVALID_CURSOR, ErrorCode.TOO_MANY_STREAMS)
_EVENTS: dict[str, Any] = {"x-events": examples.EVENTS}


def _stream() -> Responses:
    content = {"text/event-stream": {"examples": examples.MESSAGES}}
    return {200: {"description": examples.DESCRIPTION, "model": examples.Data, "content": content}}


@router.get(
    "/strategy/{strategy_id}/stream",
    operation_id="streamStrategy",
    response_class=EventSourceResponse,
    responses={
        **_stream(),
        **errors(SIGNED_IN, PARAMETERS, ErrorCode.STRATEGY_NOT_FOUND, *_REFUSALS),
    },
    openapi_extra=_EVENTS,
)
async def stream_strategy(
    strategy_id: StrategyId, caller: CurrentCaller, platform: Platform, last_event_id: LastEventId = None
) -> EventSourceResponse:
    """One strategy, and the account it trades in: `snapshot` first, then every change as an event of its own."""
    async with platform.database.transaction() as session:
        strategy = await strategies.find(session, strategy_id=strategy_id, user_id=caller.user_id)
    if strategy is None:
        raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
    return await _response(platform, caller, strategy, last_event_id)


@router.get(
    "/stream",
    operation_id="streamAll",
    response_class=EventSourceResponse,
    responses={**_stream(), **errors(SIGNED_IN, PARAMETERS, *_REFUSALS)},
    openapi_extra=_EVENTS,
)
async def stream_all(caller: CurrentCaller, platform: Platform, last_event_id: LastEventId = None) -> EventSourceResponse:
    """All of the user's: `snapshot` first (running strategies, open alerts, findings before the open), then every change as an
    event of its own."""
    return await _response(platform, caller, None, last_event_id)


async def _response(
    platform: Services, caller: Caller, strategy: Strategy | None, last_event_id: str | None
) -> EventSourceResponse:
    after = read_number_cursor(last_event_id)
    if after is None:
        async with platform.database.transaction() as session:
            after = await timeline.newest_sequence(session, user_id=caller.user_id)
    return LiveResponse(
        stream(platform, Wanted(caller, strategy, after)),
        ping=HEARTBEAT_SECONDS,
        send_timeout=platform.hub.limits.send_seconds,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
