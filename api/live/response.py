"""The response that carries a stream."""

import structlog
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

_log = structlog.get_logger()


class LiveResponse(EventSourceResponse):
    """A reader that takes nothing for too long is left alone: nobody else has a part in that, so it is no error of ours."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            _log.warning("stream_reader_takes_nothing")
