"""How an account keeps under Fyers' limit of calls per minute: whoever breaks it more than three times is blocked for the day.

All calls count together, ours and those of the user's other programs. Orders always go out: the desk's budget keeps their pace.
Reads give way to them, those that nobody's money waits for first; once the broker has complained twice, only the book is read.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum

from brokers.fyers.limits import BREACHES_BEFORE_THE_DAY_IS_BLOCKED
from trading.ports.broker import BrokerUnavailable
from trading.ports.clock import Clock
from trading.sessions import trading_date

_MINUTE = 60.0
# Answers that complain within the same minute are one breach.
_CARE_FROM = BREACHES_BEFORE_THE_DAY_IS_BLOCKED - 1


class Need(IntEnum):
    """What a call is for; the value is how many calls of the minute may have gone before it."""

    COMFORT = 110
    """Prices, funds, the profile: there are other ways, or another minute."""
    BOOK = 180
    """Orders, trades and positions: what an order in doubt is resolved by."""


@dataclass(slots=True)
class Pace:
    clock: Clock
    _calls: deque[float] = field(default_factory=deque)
    _breaches: int = 0
    _breached_at: float | None = None
    _day: date | None = None

    def count(self) -> None:
        """A call is made now, whatever comes of it."""
        self._calls.append(self.clock.monotonic())

    def ask(self, need: Need) -> None:
        """A read is wanted now; counts it. Raises BrokerUnavailable when it has to wait for the next minute."""
        now = self.clock.monotonic()
        while self._calls and now - self._calls[0] >= _MINUTE:
            self._calls.popleft()
        if need is Need.COMFORT and self.breaches >= _CARE_FROM:
            raise BrokerUnavailable("Fyers has complained of too many calls today: only orders and the book are left")
        if len(self._calls) >= need:
            raise BrokerUnavailable("this minute's calls are kept for orders")
        self.count()

    def complained(self) -> None:
        """The broker answered that there were too many calls."""
        now = self.clock.monotonic()
        if self._breached_at is None or now - self._breached_at >= _MINUTE or self._is_new_day():
            self._breaches = self.breaches + 1
            self._breached_at, self._day = now, trading_date(self.clock.now())

    @property
    def breaches(self) -> int:
        """How many minutes of this day the broker complained of."""
        return 0 if self._is_new_day() else self._breaches

    def _is_new_day(self) -> bool:
        return self._day != trading_date(self.clock.now())
