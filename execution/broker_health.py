"""Whether an account's broker can be worked with, from what its desk meets: the book that is read, and the orders that are sent.

Pure; instants are monotonic seconds. An order that is refused has been answered: the broker lives.
"""

from dataclasses import dataclass

# A blink is no alarm: the next look or order usually succeeds.
TROUBLE_SECONDS = 5.0
# Orders that met no answer are forgotten after this long without another such order.
FORGOTTEN_SECONDS = 60.0


@dataclass(slots=True)
class BrokerHealth:
    """Of one account. `unread_since`: since when no look has succeeded; `unanswered_since`: since when no order was answered."""

    read_once: bool = False
    unread_since: float | None = None
    unanswered_since: float | None = None
    unanswered_at: float = 0.0

    def read_failed(self, now: float) -> None:
        if self.unread_since is None:
            self.unread_since = now

    def read_succeeded(self) -> None:
        self.read_once, self.unread_since = True, None

    def write_unanswered(self, now: float) -> None:
        if self.unanswered_since is None:
            self.unanswered_since = now
        self.unanswered_at = now

    def write_answered(self) -> None:
        self.unanswered_since = None

    def trouble(self, now: float) -> str | None:
        """In words, once it has lasted; None is not yet `is_well`."""
        if self.unread_since is not None and now - self.unread_since >= TROUBLE_SECONDS:
            return "its order book cannot be read"
        if self.unanswered_since is not None and self.unanswered_at - self.unanswered_since >= TROUBLE_SECONDS:
            return "orders get no clear answer"
        return None

    def is_well(self, now: float) -> bool:
        """Proven by a look that succeeded after the last trouble."""
        if self.unanswered_since is not None and now - self.unanswered_at >= FORGOTTEN_SECONDS:
            self.unanswered_since = None
        return self.read_once and self.unread_since is None and self.unanswered_since is None
