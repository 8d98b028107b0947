"""Lines of the logs, whichever log they are from."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from pydantic import Field

from api.schemas.common import Answer, Instant


class Log(str, Enum):
    """`orders`: every order request with its answer, kept five years. `runs`: the timelines of all runs. `errors`: warnings and
    errors of the processes, `broker`: calls to brokers that failed; both kept for a month."""

    ORDERS = "orders"
    RUNS = "runs"
    ERRORS = "errors"
    BROKER = "broker"


class LogLine(Answer):
    line_id: str
    at: Instant
    level: str = Field(examples=["info"])
    event: str = Field(examples=["place"])
    message: str
    process: str | None = None
    user_id: str | None = None
    account_id: str | None = None
    order_id: str | None = None
    run_id: str | None = None
    data: Mapping[str, Any] = Field(description="Without secrets")
