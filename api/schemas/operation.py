"""Health and readiness."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from api.readiness import PartState
from api.schemas.common import Answer, Instant


class Health(Answer):
    status: Literal["healthy"] = "healthy"
    version: str
    timestamp: Instant


class PartAnswer(Answer):
    name: str
    state: PartState
    needed: bool = Field(description="Without it nothing new can be started")
    lag_ms: float | None
    detail: str


class Readiness(Answer):
    """`degraded`: it works, slower or with something missing. `not_ready` comes with status 503."""

    status: Literal["ready", "degraded", "not_ready"]
    version: str
    timestamp: Instant
    parts: Sequence[PartAnswer]
