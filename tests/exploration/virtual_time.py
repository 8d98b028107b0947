"""An event loop whose time jumps from timer to timer, so that minutes of trading take milliseconds and always go the same way.

Only the database is real: while a transaction is under way time stands still and the loop waits for the server.
"""

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Any

# A server that says nothing for so long (real seconds) will not say anything any more.
STUCK_SECONDS = 60.0
# Real seconds for one `run_until_complete`. Whoever waits in rounds for what never comes makes hours pass in a moment, for ever.
LIMIT_SECONDS = 60.0


class _Selector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    """Asks the loop how long to wait: it knows whether a server owes an answer."""

    wait: Callable[[float | None], float | None] = staticmethod(lambda timeout: timeout)

    def select(self, timeout: float | None = None) -> Any:
        allowed = self.wait(timeout)
        events = super().select(allowed)
        if not events and allowed == STUCK_SECONDS:
            raise RuntimeError(f"nothing has happened for {STUCK_SECONDS:.0f} real seconds")
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`is_owed`: says whether an answer from outside is under way; then no timer fires."""

    def __init__(self) -> None:
        self._now = 1_000.0
        self._give_up_at = float("inf")
        self.is_owed: Callable[[], bool] = lambda: False
        selector = _Selector()
        super().__init__(selector)
        selector.wait = self._wait

    def time(self) -> float:
        return self._now

    def run_until_complete(self, future: Any) -> Any:
        self._give_up_at = time.monotonic() + LIMIT_SECONDS
        return super().run_until_complete(future)

    def _wait(self, timeout: float | None) -> float | None:
        """Seconds to wait for real; moves time to the next timer when nothing else can happen."""
        if time.monotonic() > self._give_up_at:
            raise RuntimeError(f"not done after {LIMIT_SECONDS:.0f} real seconds: somebody waits in rounds for what never comes")
        if timeout == 0:
            return 0
        if self.is_owed():
            return STUCK_SECONDS
        if timeout is None:
            raise RuntimeError("nothing can happen any more, and somebody waits")
        self._now = max(self._now, self._scheduled[0]._when)  # type: ignore[attr-defined]
        return 0
