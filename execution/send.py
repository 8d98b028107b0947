"""Send: one HTTP attempt for one claim, and its outcome into the row. Placed, refused or unknown; never a second attempt.

What if we die on a line of this file? Before `broker.place`: the row says `sending`, nothing left, and the book will prove it
absent. After it: the row says `sending`, the order exists, and the book will show it under its tag. In both cases the next owner
of the desk resolves it (resolve.py); nobody sends it again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from execution.answers import Answer
from execution.claim import ClaimedOrder, give_back
from execution.news import News
from execution.rush import Rush
from execution.switchboard import Switchboard
from storage.database import Database
from trading.orders import OrderState, PlaceOutcome
from trading.ports.broker import Broker
from trading.ports.clock import Clock

_log = structlog.get_logger()

# An outcome that cannot be stored is kept in memory and tried again; the book tells the next owner if we die meanwhile.
STORE_RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Sent:
    """How one attempt went. `state` is the row's state afterwards; `late_ms` counts from the wanted instant to the first byte."""

    claimed: ClaimedOrder
    outcome: PlaceOutcome
    state: OrderState
    sent_at: datetime | None
    late_ms: int | None


class Sender:
    """Sends what was claimed. One per process."""

    def __init__(self, *, database: Database, clock: Clock, owner: str, switchboard: Switchboard, rush: Rush, news: News) -> None:
        self._database = database
        self._news = news
        self._rush = rush
        self._clock = clock
        self._owner = owner
        self._switchboard = switchboard

    async def send(self, claimed: ClaimedOrder, broker: Broker) -> Sent:
        """Run in a task of its own that nobody cancels: a cancelled write would be in doubt for no reason."""
        wire = Wire(claimed.send_until, self._clock, is_withheld=lambda: self._switchboard.withholds(claimed))
        outcome = await self._place(claimed, broker, wire)
        if not wire.was_allowed:
            state = await self._store(claimed, lambda: self._give_back(claimed))
            return Sent(claimed, outcome, state, None, None)
        late_ms = None if claimed.is_backup else milliseconds(claimed.wanted_at, wire.sent_at)
        answer = Answer(claimed, outcome, wire.sent_at, late_ms)
        # Until the answer is stored the row says `sending`: whoever comes after us would find the order in the book.
        state = await self._store(claimed, lambda: self._news.answered(answer))
        return Sent(claimed, outcome, state, answer.sent_at, answer.late_ms)

    async def _place(self, claimed: ClaimedOrder, broker: Broker, wire: "Wire") -> PlaceOutcome:
        def may_send() -> bool:
            self._rush.has_left(claimed.order_id)
            return wire.may_send()

        try:
            return await broker.place(claimed.request, may_send=may_send)
        finally:
            self._rush.has_left(claimed.order_id)

    async def _give_back(self, claimed: ClaimedOrder) -> OrderState:
        async with self._database.transaction() as session:
            returned = await give_back(session, claimed, owner=self._owner)
        return OrderState.ARMED if returned else OrderState.UNKNOWN

    async def _store(self, claimed: ClaimedOrder, write: Callable[[], Awaitable[OrderState]]) -> OrderState:
        """An answer is worth more than a second's patience: keep trying until it is in the row."""
        while True:
            try:
                return await write()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                _log.error("outcome_not_stored", order_id=claimed.order_id, error=str(error))
                await asyncio.sleep(STORE_RETRY_SECONDS)


class Wire:
    """Watches the moment of writing: refuses it after `send_until`, or once a kill switch is up, and remembers when it was."""

    def __init__(self, send_until: float, clock: Clock, *, is_withheld: Callable[[], bool] = lambda: False) -> None:
        self._send_until = send_until
        self._clock = clock
        self._is_withheld = is_withheld
        self.sent_at: datetime | None = None
        self.was_allowed = True

    def may_send(self) -> bool:
        if self._clock.monotonic() >= self._send_until or self._is_withheld():
            self.was_allowed = False
            return False
        self.sent_at = self._clock.now()
        return True


def milliseconds(wanted_at: datetime, sent_at: datetime | None) -> int | None:
    return None if sent_at is None else int((sent_at - wanted_at).total_seconds() * 1000)
