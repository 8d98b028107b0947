"""What became of a call to a broker, for those who measure: no header, no query, no body."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from brokers.answers import Answered, NotSent, WireResult


class CallOutcome(str, Enum):
    OK = "ok"
    REFUSED = "refused"
    RATE_LIMITED = "rate_limited"
    BROKER_ERROR = "broker_error"
    NO_ANSWER = "no_answer"
    NOT_SENT = "not_sent"


@dataclass(frozen=True, slots=True)
class Call:
    """`path` is without its query. `why` is the transport's own words when nothing was answered."""

    server: str
    account_id: str
    method: str
    path: str
    outcome: CallOutcome
    status: int | None
    seconds: float
    why: str = ""

    @property
    def kind(self) -> str:
        """Without the ids a path may end with, and without what leads to its version: such as `POST /orders`."""
        parts = self.path.strip("/").split("/")
        versions = [place for place, part in enumerate(parts[:-1]) if part[:1] == "v" and part[1:].isdigit()]
        return f"{self.method} /{parts[versions[-1] + 1 if versions else 0]}"


Observer: TypeAlias = Callable[[Call], None]


def outcome_of(result: WireResult) -> CallOutcome:
    """What the answer says by its status alone: whether an order was placed is the adapter's business."""
    if isinstance(result, Answered):
        if result.status == 429:
            return CallOutcome.RATE_LIMITED
        if result.status >= 500:
            return CallOutcome.BROKER_ERROR
        return CallOutcome.REFUSED if result.status >= 300 else CallOutcome.OK
    return CallOutcome.NOT_SENT if isinstance(result, NotSent) else CallOutcome.NO_ANSWER
