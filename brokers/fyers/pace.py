"""How an account keeps under Fyers' limit of calls per minute: whoever breaks it more than three times is blocked for the day.

All calls count together, those of all our processes and of the user's other programs. Orders always go out: the desk's budget
keeps their pace. Reads give way to them and are spread, since a minute read away in its first seconds leaves whoever follows an
order blind for the rest of it. Reads that nobody's money waits for give way first; once the broker has complained twice, only the
book is read.
"""

from asyncio import sleep
from dataclasses import dataclass
from enum import Enum

from brokers.fyers.limits import BREACHES_BEFORE_THE_DAY_IS_BLOCKED
from brokers.turns import Turns, Window
from trading.ports.broker import BrokerUnavailable
from trading.ports.clock import Clock
from trading.sessions import trading_date

_MINUTE = 60.0
SPREAD_SECONDS = 2.0
# A read that would have to wait longer is refused, so that its caller can decide what to do meanwhile.
PATIENCE_SECONDS = 2.5
_CARE_FROM = BREACHES_BEFORE_THE_DAY_IS_BLOCKED - 1
_CALL = Window("calls", 0, _MINUTE)


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

    @property
    def windows(self) -> tuple[Window, Window]:
        return Window(_CALL.name, self.calls_before, _MINUTE), Window("reads", self.reads_at_once, SPREAD_SECONDS)


@dataclass(frozen=True, slots=True)
class Pace:
    account: str
    turns: Turns
    clock: Clock

    def count(self) -> None:
        """A call is made now, whatever comes of it."""
        self.turns.note(self.account, _CALL)

    async def ask(self, need: Need) -> None:
        """A read is wanted: waits for its turn and counts it. Raises BrokerUnavailable when its turn is too far away, or when it
        has none today any more."""
        patience = PATIENCE_SECONDS
        while (wait := await self.take(need)) > 0:
            patience -= wait
            if patience < 0:
                raise BrokerUnavailable("this minute's calls are kept for orders")
            await sleep(wait)

    async def take(self, need: Need) -> float:
        """Take the turn of a read if there is one now: 0. Else the seconds until there may be one. Raises BrokerUnavailable for a
        read that has none today any more."""
        if need is Need.COMFORT and await self.breaches() >= _CARE_FROM:
            raise BrokerUnavailable("Fyers has complained of too many calls today: only orders and the book are left")
        return await self.turns.take(self.account, need.windows)

    async def complained(self) -> None:
        """The broker answered that there were too many calls."""
        await self.turns.complain(self.account, trading_date(self.clock.now()))

    async def breaches(self) -> int:
        """How many minutes of this day the broker complained of."""
        return await self.turns.complaints(self.account, trading_date(self.clock.now()))
