"""Stand-ins for what the listener talks to, and a clock that stands still."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.service import RPCError, RPCStatusCode

from activities.messages import StopLossHit, TargetHit
from workflows.names import STOP_LOSS_HIT, TARGET_HIT

START = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)


class HeldClock:
    """Moves only when told to."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds - 1_000)

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass(slots=True)
class FakeTemporal:
    """A Temporal client that takes signals: `signals` are those it took, `attempts` counts every try."""

    signals: list[tuple[str, StopLossHit | TargetHit]] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    is_down: bool = False
    attempts: int = 0

    def get_workflow_handle(self, workflow_id: str) -> "_Handle":
        return _Handle(self, workflow_id)


@dataclass(slots=True)
class _Handle:
    temporal: FakeTemporal
    workflow_id: str

    async def signal(self, name: str, hit: StopLossHit | TargetHit, *, rpc_timeout: Any) -> None:
        assert name == (TARGET_HIT if isinstance(hit, TargetHit) else STOP_LOSS_HIT)
        self.temporal.attempts += 1
        if self.temporal.is_down:
            raise RPCError("connection refused", RPCStatusCode.UNAVAILABLE, b"")
        if self.workflow_id in self.temporal.gone:
            raise RPCError("workflow not found", RPCStatusCode.NOT_FOUND, b"")
        self.temporal.signals.append((self.workflow_id, hit))
