"""Files of prices for the playground: read in a process of its own, and kept for their owner."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import structlog

from api.access import Caller
from api.errors import ApiError, ErrorCode, FieldProblem
from api.services import Services
from playground import apart
from storage.models import PlaygroundData
from storage.repositories import audit, playground

log = structlog.get_logger()

MOST_FILES = 20
READ_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class PriceFile:
    """What its owner calls it, and whose prices they are."""

    exchange: str
    symbol: str
    name: str


async def keep(
    platform: Services,
    caller: Caller,
    file: PriceFile,
    wanted: Mapping[str, object],
    *,
    read: Callable[[], Awaitable[bytes]],
) -> PlaygroundData:
    """`read` brings the content, once there is room for it. Raises ApiError."""
    async with platform.database.transaction() as session:
        _refuse_more(await playground.count_data(session, user_id=caller.user_id))
    found = await _bars_of(platform, wanted, await read())
    data = PlaygroundData(
        user_id=caller.user_id,
        name=file.name,
        exchange=file.exchange,
        symbol=file.symbol,
        format=found["format"],
        bar_seconds=found["bar_seconds"],
        row_count=found["rows"],
        day_count=found["days"],
        first_day=date.fromisoformat(found["first_day"]),
        last_day=date.fromisoformat(found["last_day"]),
        content=bytes.fromhex(found["bars"]),
        created_by=caller.user_id,
    )
    async with platform.database.transaction() as session:
        await playground.lock_user(session, user_id=caller.user_id)
        _refuse_more(await playground.count_data(session, user_id=caller.user_id))
        session.add(data)
        await session.flush()
        await session.refresh(data, ["created_at"])
        await audit.append(
            session, actor_id=caller.user_id, action="playground.upload", subject_id=data.id, now=platform.clock.now()
        )
    return data


def _refuse_more(stored: int) -> None:
    if stored >= MOST_FILES:
        raise ApiError(ErrorCode.PLAYGROUND_FULL, f"{stored} files of prices are kept, at most {MOST_FILES}; delete some")


async def _bars_of(platform: Services, wanted: Mapping[str, object], content: bytes) -> dict[str, Any]:
    """In a process of its own, two at a time: a file may be made to harm whoever reads it."""
    async with platform.file_readers:
        try:
            found = await apart.run_to_the_end(wanted, content, timeout_seconds=READ_SECONDS)
        except apart.WentAstray as error:
            log.warning("playground_file_unreadable", cause=str(error)[-300:])
            message = "the file could not be read within the limits of time and memory; it may be damaged"
            raise ApiError(ErrorCode.BAD_DATA_FILE, message) from error
    if "bad_file" in found:
        problems = found["bad_file"]
        details = [
            FieldProblem(
                field=f"line {problem['line']}" if problem["line"] else "file", code="BAD_DATA_FILE", message=problem["reason"]
            )
            for problem in problems
        ]
        first = details[0]
        raise ApiError(ErrorCode.BAD_DATA_FILE, f"{first.field}: {first.message}", details=details)
    return found
