"""How an account keeps under Fyers' limit of calls per minute: whoever breaks it more than three times is blocked for the day.

All calls count together, ours and those of the user's other programs. Orders always go out: the desk's budget keeps their pace.
Reads give way to them and are spread, since a minute read away in its first seconds leaves whoever follows an order blind for the
rest of it. Reads that nobody's money waits for give way first; once the broker has complained twice, only the book is read.
"""

from asyncio import sleep
from collections import deque
from dataclasses import dataclass, field
from datetime import date
from enum import Enum

from brokers.fyers.limits import BREACHES_BEFORE_THE_DAY_IS_BLOCKED
from trading.ports.broker import BrokerUnavailable
from trading.ports.clock import Clock
from trading.sessions import trading_date

_MINUTE = 60.0
SPREAD_SECONDS = 2.0
# A read that would have to wait longer is refused, so that its caller can decide what to do meanwhile.
PATIENCE_SECONDS = 2.5
# Answers that complain within the same minute are one breach.
_CARE_FROM = BREACHES_BEFORE_THE_DAY_IS_BLOCKED - 1


class Need(Enum):
    """What a read is for: how many reads may begin in two seconds, and how many calls of the minute may have gone before it."""

    # Prices, funds, the profile: there are other ways, or another minute.
    COMFORT = (3, 110)
    # Orders, trades and positions: what an order in doubt is resolved by.
    BOOK = (6, 180)

    @property
    def reads_at_once(self) -> int:
        return self.value[0]

    @property
    def calls_before(self) -> int:
        return self.value[1]


@dataclass(slots=True)
class Pace:
    clock: Clock
    _calls: deque[float] = field(default_factory=deque)
    _reads: deque[float] = field(default_factory=deque)
    _breaches: int = 0
    _breached_at: float | None = None
    _day: date | None = None

    def count(self) -> None:
        """A call is made now, whatever comes of it."""
        self._calls.append(self.clock.monotonic())

    async def ask(self, need: Need) -> None:
        """A read is wanted: waits for its turn and counts it. Raises BrokerUnavailable when its turn is too far away."""
        patience = PATIENCE_SECONDS
        while (wait := self.wait_for(need)) > 0:
            patience -= wait
            if patience < 0:
                raise BrokerUnavailable("this minute's calls are kept for orders")
            await sleep(wait)
        self._reads.append(self.clock.monotonic())
        self.count()

    def wait_for(self, need: Need) -> float:
        """Seconds until a read may begin. Raises BrokerUnavailable for one that has no turn today any more."""
        if need is Need.COMFORT and self.breaches >= _CARE_FROM:
            raise BrokerUnavailable("Fyers has complained of too many calls today: only orders and the book are left")
        now = self.clock.monotonic()
        return max(
            _until_free(self._calls, most=need.calls_before, seconds=_MINUTE, now=now),
            _until_free(self._reads, most=need.reads_at_once, seconds=SPREAD_SECONDS, now=now),
        )

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


def _until_free(made: deque[float], *, most: int, seconds: float, now: float) -> float:
    """Seconds until fewer than that many were made in the window before; forgets what has left it."""
    while made and now - made[0] >= seconds:
        made.popleft()
    return made[-most] + seconds - now if len(made) >= most else 0.0
