"""Send: one HTTP attempt for one claim, and its outcome into the row. Placed, refused or unknown; never a second attempt.

What if we die on a line of this file? Before `broker.place`: the row says `sending`, nothing left, and the book will prove it
absent. After it: the row says `sending`, the order exists, and the book will show it under its tag. In both cases the next owner
of the desk resolves it (resolve.py); nobody sends it again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from execution.claim import ClaimedOrder, give_back
from execution.commands import leave_because
from execution.rush import Rush
from execution.switchboard import Switchboard
from execution.timeline import rupees, tell
from storage.database import Database
from storage.models import OrderLog, Run
from trading.orders import Leg, OrderState, Placed, PlaceOutcome, RefusalKind, Refused, Unknown
from trading.ports.broker import Broker
from trading.ports.clock import Clock
from trading.runs import RunState

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

    def __init__(self, *, database: Database, clock: Clock, owner: str, switchboard: Switchboard, rush: Rush) -> None:
        self._database = database
        self._rush = rush
        self._clock = clock
        self._owner = owner
        self._switchboard = switchboard

    async def send(self, claimed: ClaimedOrder, broker: Broker) -> Sent:
        """Run in a task of its own that nobody cancels: a cancelled write would be in doubt for no reason."""
        wire = Wire(claimed.send_until, self._clock, is_withheld=lambda: self._switchboard.withholds(claimed))
        outcome = await self._place(claimed, broker, wire)
        # Until the answer is stored the row says `sending`: whoever comes after us would find the order in the book.
        await self._rush.pass_by()
        late_ms = _milliseconds(claimed.wanted_at, wire.sent_at)
        if not wire.was_allowed:
            state = await self._store(claimed, lambda session: self._give_back(session, claimed))
            return Sent(claimed, outcome, state, None, None)
        state = await self._store(claimed, lambda session: self._record(session, claimed, outcome, wire.sent_at, late_ms))
        return Sent(claimed, outcome, state, wire.sent_at, late_ms)

    async def _place(self, claimed: ClaimedOrder, broker: Broker, wire: "Wire") -> PlaceOutcome:
        def may_send() -> bool:
            self._rush.has_left(claimed.order_id)
            return wire.may_send()

        try:
            return await broker.place(claimed.request, may_send=may_send)
        finally:
            self._rush.has_left(claimed.order_id)

    async def _give_back(self, session: AsyncSession, claimed: ClaimedOrder) -> OrderState:
        returned = await give_back(session, claimed, owner=self._owner)
        return OrderState.ARMED if returned else OrderState.UNKNOWN

    async def _record(
        self, session: AsyncSession, claimed: ClaimedOrder, outcome: PlaceOutcome, sent_at: datetime | None, late_ms: int | None
    ) -> OrderState:
        run = await session.scalar(select(Run).where(Run.id == claimed.run_id).with_for_update())
        state = await record_outcome(session, claimed.order_id, outcome, sent_at=sent_at, late_ms=late_ms)
        session.add(_log_line(claimed, outcome))
        if run is not None:
            _note_in_run(session, run, claimed)
            tell_sent(session, run, claimed, outcome, sent_at=sent_at, late_ms=late_ms)
        return state

    async def _store(self, claimed: ClaimedOrder, write: Callable[[AsyncSession], Awaitable[OrderState]]) -> OrderState:
        """An answer is worth more than a second's patience: keep trying until it is in the row."""
        while True:
            try:
                async with self._database.transaction() as session:
                    return await write(session)
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                _log.error("outcome_not_stored", order_id=claimed.order_id, error=str(error))
                await asyncio.sleep(STORE_RETRY_SECONDS)


def _note_in_run(session: AsyncSession, run: Run, claimed: ClaimedOrder) -> None:
    """An exit that was claimed is wanted, whatever becomes of this attempt."""
    if claimed.leg is Leg.EXIT and claimed.reason is not None:
        leave_because(session, run, claimed.reason, claimed.wanted_at, trigger=claimed.trigger)
        if run.state is not RunState.ENDED:
            run.state = RunState.LEAVING


def tell_sent(
    session: AsyncSession,
    run: Run,
    claimed: ClaimedOrder,
    outcome: PlaceOutcome,
    *,
    sent_at: datetime | None,
    late_ms: int | None,
) -> None:
    """The line of the timeline that says an order left, or why it did not."""
    request = claimed.request
    verb = "buy" if claimed.leg is Leg.ENTRY else "sell"
    what = f"{verb} {request.quantity} {request.instrument.symbol}, limit {rupees(request.price)}"
    if isinstance(outcome, Placed):
        tell(
            session,
            run,
            "order_sent",
            f"Order sent: {what}",
            price=request.price,
            quantity=request.quantity,
            late_ms=late_ms,
            at=sent_at,
        )
    elif isinstance(outcome, Refused):
        tell(session, run, "order_refused", f"The broker refused to {what}: {outcome.message}", price=request.price)
    else:
        tell(
            session,
            run,
            "order_in_doubt",
            f"No clear answer from the broker to: {what}. Looking in its book",
            price=request.price,
        )


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


def _milliseconds(wanted_at: datetime, sent_at: datetime | None) -> int | None:
    return None if sent_at is None else int((sent_at - wanted_at).total_seconds() * 1000)


_RECORD_PLACED = text(
    """
    UPDATE orders SET
        state = CASE WHEN state IN ('sending', 'unknown') THEN 'open' ELSE state END,
        broker_order_id = COALESCE(broker_order_id, :broker_order_id),
        sent_at = COALESCE(sent_at, :sent_at), late_ms = COALESCE(late_ms, :late_ms),
        acknowledged_at = COALESCE(acknowledged_at, clock_timestamp()),
        revision = revision + 1, updated_at = clock_timestamp()
    WHERE id = :order_id RETURNING state
    """
)
_RECORD_REFUSED = text(
    """
    UPDATE orders SET state = 'rejected', refusal = :refusal, message = :message, ended_at = clock_timestamp(),
        sent_at = COALESCE(sent_at, :sent_at), revision = revision + 1, updated_at = clock_timestamp(),
        watched_until = clock_timestamp() + interval '1 day'
    WHERE id = :order_id AND state IN ('sending', 'unknown') RETURNING state
    """
)
_RECORD_UNKNOWN = text(
    """
    UPDATE orders SET state = 'unknown', message = :message, sent_at = COALESCE(sent_at, :sent_at),
        revision = revision + 1, updated_at = clock_timestamp()
    WHERE id = :order_id AND state = 'sending' RETURNING state
    """
)


async def record_outcome(
    session: AsyncSession, order_id: str, outcome: PlaceOutcome, *, sent_at: datetime | None, late_ms: int | None
) -> OrderState:
    """Store an answer whatever state the row is in by now: the book may have been faster. Returns the row's state.

    An order that was held absent and turns out placed keeps its state and gains its broker's id: look.py takes it back.
    """
    values: dict[str, Any] = {"order_id": order_id, "sent_at": sent_at}
    if isinstance(outcome, Placed):
        row = await session.execute(_RECORD_PLACED, {**values, "broker_order_id": outcome.broker_order_id, "late_ms": late_ms})
    elif isinstance(outcome, Refused):
        # A refusal before the first byte leaves no time of sending behind.
        sent = None if outcome.kind is RefusalKind.NOT_SENT else sent_at
        row = await session.execute(
            _RECORD_REFUSED, {**values, "sent_at": sent, "refusal": outcome.kind.value, "message": outcome.message[:1000]}
        )
    else:
        row = await session.execute(_RECORD_UNKNOWN, {**values, "message": outcome.why[:1000]})
    changed = row.scalar_one_or_none()
    if changed is None:
        changed = (
            await session.execute(text("SELECT state FROM orders WHERE id = :order_id"), {"order_id": order_id})
        ).scalar_one()
    return OrderState(changed)


def _log_line(claimed: ClaimedOrder, outcome: PlaceOutcome) -> OrderLog:
    request = claimed.request
    answer: dict[str, Any]
    if isinstance(outcome, Placed):
        answer = {"outcome": "placed", "broker_order_id": outcome.broker_order_id}
    elif isinstance(outcome, Refused):
        answer = {"outcome": "refused", "kind": outcome.kind.value, "message": outcome.message}
    else:
        assert isinstance(outcome, Unknown)  # noqa: S101 (exhausts the union for the type checker)
        answer = {"outcome": "unknown", "why": outcome.why}
    return OrderLog(
        order_id=claimed.order_id,
        account_id=claimed.account_id,
        user_id=claimed.user_id,
        what="place",
        request={
            "tag": request.tag,
            "instrument": str(request.instrument),
            "side": request.side.value,
            "product": request.product.value,
            "quantity": request.quantity,
            "price": str(request.price),
        },
        answer=answer,
    )
