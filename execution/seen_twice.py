"""What rests on something that is missing, or on a position, is believed only when it was seen twice, a settle time apart."""

from collections.abc import Collection, Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

Subject = TypeVar("Subject", bound=Hashable)


class SeenTwice(Generic[Subject]):
    """Remembers what was seen once, and since when. Whole numbers, such as shares."""

    def __init__(self, settle: timedelta) -> None:
        self._settle = settle
        self._seen: dict[Subject, tuple[int, datetime]] = {}

    def __bool__(self) -> bool:
        """Whether a second look, a settle time after the first, would decide something."""
        return bool(self._seen)

    def sees(self, subject: Subject, value: int, now: datetime) -> bool:
        """Whether that was seen before, a settle time ago, and nothing else in between; then it is forgotten."""
        known, since = self._seen.setdefault(subject, (value, now))
        if known != value:
            self._seen[subject] = (value, now)
            return False
        if now - since < self._settle:
            return False
        del self._seen[subject]
        return True

    def forget(self, subject: Subject) -> None:
        self._seen.pop(subject, None)

    def keep(self, subjects: Collection[Subject]) -> None:
        """Forget all others."""
        self._seen = {subject: seen for subject, seen in self._seen.items() if subject in subjects}
