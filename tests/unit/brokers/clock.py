from datetime import UTC, datetime
from typing import ClassVar


class HeldClock:
    """A clock that moves only when a test moves it."""

    NOW: ClassVar[datetime] = datetime(2026, 8, 3, 4, 0, tzinfo=UTC)

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> datetime:
        return self.NOW

    def monotonic(self) -> float:
        return self.seconds
