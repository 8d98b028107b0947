"""When a user wants no messages, in Indian time."""

from dataclasses import dataclass
from datetime import datetime, time

from trading.sessions import INDIA


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `begins` until just before `ends`; over midnight when that is earlier. The same time twice: never quiet."""

    begins: time
    ends: time

    def cover(self, now: datetime) -> bool:
        at = now.astimezone(INDIA).time()
        if self.begins <= self.ends:
            return self.begins <= at < self.ends
        return at >= self.begins or at < self.ends
