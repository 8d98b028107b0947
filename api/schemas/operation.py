"""Health, readiness, and what an Admin sees."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from api.readiness import PartState
from api.schemas.common import Answer, Instant, StrictBody
from storage.models import Role, UserState


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


class UserAnswer(Answer):
    user_id: str
    email: str
    name: str
    role: Role
    state: UserState
    broker: str | None
    created_at: Instant


class ChangeUser(StrictBody):
    """What is left out stays."""

    role: Role | None = None
    state: UserState | None = Field(None, description="Suspended users are logged out at once; their open runs go on")
    broker: str | None = Field(None, max_length=24, description="For the role Broker: whose staff it is")


class System(Answer):
    version: str
    readiness: Readiness
    users: int
    strategies: int
    open_runs: int
    orders_in_doubt: int
    open_alerts: int
    streams_open: int = Field(description="In this process")
    temporal_ui_url: str
    audit_chain_broken_at: int | None = Field(description="Null: the audit log is whole")


class AuditAnswer(Answer):
    sequence: int
    at: Instant
    actor_id: str | None
    action: str
    subject_id: str | None
    data: Mapping[str, Any]
    hash: str
