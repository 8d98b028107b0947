"""The real clock."""

import time
from datetime import UTC, datetime

# Linux's monotonic clock stands still while the machine is suspended: an order claimed before would seem young enough to be sent
# after. This one goes on. Where there is none (macOS), the monotonic clock has to do.
_SINCE_BOOT: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """Implements `trading.ports.clock.Clock`."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.clock_gettime(_SINCE_BOOT)
