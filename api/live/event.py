"""What live streams carry, encoded once for however many read it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sse_starlette import ServerSentEvent

from api.schemas.common import Answer


class EventKind(str, Enum):
    """The `event:` of a message. docs/api.md says when each comes; its `data` has a schema in the OpenAPI document."""

    SNAPSHOT = "snapshot"
    RUN_EVENT = "run_event"
    STATE = "state"
    ORDER = "order"
    FILL = "fill"
    PRICE = "price"
    ALERT = "alert"
    READINESS = "readiness"


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """`about`: ids of the strategies and accounts it concerns; none: the platform.

    `sequence`: of a line, the place to resume from. `as_of`: how things stood then; a snapshot taken later says more.
    `newest_of`: only the newest of these waits for a reader that is behind.
    """

    kind: EventKind
    wire: bytes
    about: frozenset[str] = frozenset()
    sequence: int | None = None
    as_of: datetime | None = None
    newest_of: str | None = None


def live_event(
    kind: EventKind,
    data: Answer,
    *,
    about: Collection[str] = (),
    sequence: int | None = None,
    as_of: datetime | None = None,
    newest_of: str | None = None,
) -> LiveEvent:
    place = None if sequence is None else str(sequence)
    wire = ServerSentEvent(data=data.model_dump_json(), event=kind.value, id=place).encode()
    return LiveEvent(kind, wire, frozenset(about), sequence, as_of, newest_of)
