"""Change: modify and cancel are written down before they are sent, and have an unknown of their own.

The row is moved by compare-and-set on its revision, so a process that slept through a lease and wakes up changes nothing. While a
change is under way no other begins; one whose answer never came is ended by what the book shows afterwards.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from execution.claim import SEND_WITHIN
from execution.send import Wire, milliseconds
from storage.appending import append
from storage.database import Database
from storage.models import ChangeKind, ChangeState, Order, OrderLog, Run
from trading.orders import Accepted, BrokerOrder, ChangeOutcome, Leg, ModifyRequest, OrderState, RefusalKind, Refused
from trading.ports.broker import Broker
from trading.ports.clock import Clock

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Change:
    """A change that is ours to send. `quantity` and `price` are None for a cancellation. `trigger`: of a modification after which
    the order waits for that price; without one it is a plain limit order afterwards."""

    order_id: str
    account_id: str
    user_id: str
    broker_order_id: str
    kind: ChangeKind
    revision: int
    send_until: float
    quantity: int | None = None
    price: Decimal | None = None
    band_step: int = 0
    trigger: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a modified order shall look like. Quantity in all, prices in rupees; `trigger` as in `Change`."""

    quantity: int
    price: Decimal
    band_step: int
    trigger: Decimal | None = None


_INTEND = text(
    """
    UPDATE orders SET change_kind = :kind, change_state = 'intended', change_quantity = :quantity, change_price = :price,
        change_trigger = :trigger,
        cancel_wanted_at = COALESCE(:cancel_wanted_at, cancel_wanted_at), owner = :owner,
        changed_at = :now, revision = revision + 1, updated_at = clock_timestamp()
    WHERE id = :order_id AND revision = :revision AND state IN ('open', 'absent', 'rejected') AND change_kind IS NULL
      AND broker_order_id IS NOT NULL
    RETURNING revision, account_id, user_id, broker_order_id
    """
)


class Changer:
    """Sends modifications and cancellations. One per process."""

    def __init__(self, *, database: Database, clock: Clock, owner: str) -> None:
        self._database = database
        self._clock = clock
        self._owner = owner

    async def cancel(self, order: Order, broker: Broker) -> ChangeOutcome | None:
        """Take an order back. None: the row has moved on, so this is no longer ours to decide."""
        return await self._change(order, broker, ChangeKind.CANCEL, None)

    async def modify(self, order: Order, broker: Broker, terms: Terms) -> ChangeOutcome | None:
        """New total quantity and limit. None: the row has moved on."""
        return await self._change(order, broker, ChangeKind.MODIFY, terms)

    async def _change(self, order: Order, broker: Broker, kind: ChangeKind, terms: Terms | None) -> ChangeOutcome | None:
        send_until = self._clock.monotonic() + SEND_WITHIN.total_seconds()
        quantity, price = (terms.quantity, terms.price) if terms is not None else (None, None)
        band_step, trigger = (terms.band_step, terms.trigger) if terms is not None else (order.band_step, None)
        values: dict[str, Any] = {"order_id": order.id, "revision": order.revision, "kind": kind.value}
        values |= {"quantity": quantity, "price": price, "trigger": trigger}
        now = self._clock.now()
        values |= {"owner": self._owner, "now": now, "cancel_wanted_at": now if kind is ChangeKind.CANCEL else None}
        async with self._database.transaction() as session:
            if quantity is not None and not await _may_hold(session, order, quantity, becomes_exit=trigger is None):
                return None
            row = (await session.execute(_INTEND, values)).mappings().first()
        if row is None:
            return None
        change = Change(
            order_id=order.id,
            account_id=row["account_id"],
            user_id=row["user_id"],
            broker_order_id=row["broker_order_id"],
            kind=kind,
            revision=row["revision"],
            send_until=send_until,
            quantity=quantity,
            price=price,
            band_step=band_step,
            trigger=trigger,
        )
        wire = Wire(send_until, self._clock)
        outcome = await self._send(change, broker, wire)
        async with self._database.transaction() as session:
            await record_change(session, change, outcome, sent_at=wire.sent_at)
        return outcome

    async def _send(self, change: Change, broker: Broker, wire: Wire) -> ChangeOutcome:
        if change.kind is ChangeKind.CANCEL or change.quantity is None or change.price is None:
            return await broker.cancel(change.broker_order_id, may_send=wire.may_send)
        request = ModifyRequest(change.broker_order_id, change.quantity, change.price, change.trigger)
        return await broker.modify(request, may_send=wire.may_send)


async def _may_hold(session: AsyncSession, order: Order, quantity: int, *, becomes_exit: bool) -> bool:
    """Whether that total is within what the run wants of this leg, judged under the run's lock: never more than it bought. A
    backup becomes the exit only of a run that wants to leave, and then knows why."""
    run = await session.scalar(select(Run).where(Run.id == order.run_id).with_for_update())
    fresh = await session.scalar(select(Order).where(Order.id == order.id).with_for_update())
    if run is None or fresh is None:
        return False
    if fresh.leg is Leg.ENTRY:
        return quantity <= run.quantity
    if fresh.backup_trigger is not None and becomes_exit:
        if run.exit_reason is None or run.exit_wanted_at is None:
            return False
        fresh.reason, fresh.wanted_at = run.exit_reason, run.exit_wanted_at
    return fresh.filled_quantity < quantity <= fresh.filled_quantity + run.bought - run.sold - run.taken_elsewhere


async def record_change(
    session: AsyncSession, change: Change, outcome: ChangeOutcome, *, sent_at: datetime | None = None
) -> None:
    """Store how a change went. An accepted one is applied to the row; whether the exchange did it is in the book."""
    order = await session.scalar(select(Order).where(Order.id == change.order_id).with_for_update())
    if order is None:
        return
    append(session, OrderLog, **_log_line(change, outcome))
    if order.revision != change.revision:
        # The book was faster: it has ended the order, or the change, already.
        return
    order.revision += 1
    if isinstance(outcome, Accepted):
        _apply(order, change, sent_at)
        _forget(order)
    elif isinstance(outcome, Refused):
        if outcome.kind is RefusalKind.BUDGET or _is_hopeless(order, change, outcome):
            # No modification is left at the broker either, or none would help: the planner cancels and replaces.
            order.modifications = max(order.modifications, 1_000)
        order.message = outcome.message[:1000]
        _forget(order)
    else:
        order.change_state = ChangeState.UNKNOWN
        order.message = outcome.why[:1000]


def _is_hopeless(order: Order, change: Change, refused: Refused) -> bool:
    """A backup that shall become the exit at once, at a broker that will not have it in this form."""
    becomes_exit = change.kind is ChangeKind.MODIFY and order.backup_trigger is not None and change.trigger is None
    return becomes_exit and refused.kind in (RefusalKind.INPUT, RefusalKind.OTHER)


def _apply(order: Order, change: Change, sent_at: datetime | None) -> None:
    if change.kind is ChangeKind.MODIFY and change.quantity is not None and change.price is not None:
        order.quantity, order.price, order.band_step = change.quantity, change.price, change.band_step
        order.modifications += 1
        if order.backup_trigger is not None and change.trigger is None and order.wanted_at is not None:
            # It rested ahead of its time, and has become the exit just now.
            order.late_ms = milliseconds(order.wanted_at, sent_at)
        order.backup_trigger = change.trigger


def _forget(order: Order) -> None:
    order.change_kind = order.change_state = order.change_quantity = order.change_price = order.change_trigger = None


async def settle_change(
    session: AsyncSession, *, order_id: str, seen: BrokerOrder, requested_at: datetime, timeout: timedelta, settle: timedelta
) -> bool:
    """End a change without an answer by what the book shows, once its request cannot be under way any more."""
    order = await session.scalar(select(Order).where(Order.id == order_id).with_for_update())
    if order is None or order.change_kind is None or order.changed_at is None or order.state is not OrderState.OPEN:
        return False
    if requested_at <= order.changed_at + SEND_WITHIN + timeout + settle and not _became_the_exit(order, seen):
        return False
    if order.change_kind is ChangeKind.MODIFY and (seen.quantity, seen.price) != (order.quantity, order.price):
        order.modifications += 1
        order.quantity, order.price = seen.quantity, seen.price
    if order.change_kind is ChangeKind.MODIFY and order.backup_trigger is not None:
        # A stop that waits no more although it was only moved has triggered; whoever follows it tells the run.
        was_moved = order.change_trigger is not None
        order.backup_trigger = (seen.trigger_price or order.backup_trigger) if was_moved else seen.trigger_price
    order.revision += 1
    _forget(order)
    return True


async def waits_after_all(
    session: AsyncSession, *, order_id: str, seen: BrokerOrder, asked_at: datetime, settle: timedelta
) -> bool:
    """Whether a backup that the broker said it had made the exit waits for its trigger all the same, in a book that was asked for
    a settle time later: then it is a backup again, for the planner to change once more or to take back."""
    order = await session.scalar(select(Order).where(Order.id == order_id).with_for_update())
    if order is None or order.state is not OrderState.OPEN or order.change_kind is not None or order.changed_at is None:
        return False
    if order.backup_trigger is not None or asked_at <= order.changed_at + settle:
        return False
    order.backup_trigger, order.price, order.quantity = seen.trigger_price, seen.price, seen.quantity
    order.revision += 1
    return True


def _became_the_exit(order: Order, seen: BrokerOrder) -> bool:
    """A backup with the very terms it was to have as the exit: that is proof enough, and every second counts."""
    wanted = (order.change_quantity, order.change_price, order.change_trigger)
    is_modification = order.change_kind is ChangeKind.MODIFY and order.backup_trigger is not None
    return is_modification and order.change_trigger is None and (seen.quantity, seen.price, seen.trigger_price) == wanted


def _log_line(change: Change, outcome: ChangeOutcome) -> dict[str, Any]:
    if isinstance(outcome, Accepted):
        answer = {"outcome": "accepted"}
    elif isinstance(outcome, Refused):
        answer = {"outcome": "refused", "kind": outcome.kind.value, "message": outcome.message}
    else:
        answer = {"outcome": "unknown", "why": outcome.why}
    request = {"broker_order_id": change.broker_order_id, "quantity": change.quantity, "price": str(change.price or "")}
    if change.trigger is not None:
        request["trigger_price"] = str(change.trigger)
    return {
        "order_id": change.order_id,
        "account_id": change.account_id,
        "user_id": change.user_id,
        "what": change.kind.value,
        "request": request,
        "answer": answer,
        "at": None,
    }
