"""Answers: what the broker said to an order goes into its row, its run's timeline and the log. News.py stores those of a herd."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, DateTime, Integer, Text, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from execution.claim import ClaimedOrder
from execution.commands import leave_because
from execution.timeline import rupees, tell
from storage.any_of import any_of
from storage.appending import append
from storage.models import Order, OrderLog, Run
from trading.orders import Leg, OrderState, Placed, PlaceOutcome, RefusalKind, Refused, Unknown
from trading.runs import RunState


@dataclass(frozen=True, slots=True)
class Answer:
    """`sent_at` is when the first byte left, `late_ms` how long after the wanted instant that was."""

    claimed: ClaimedOrder
    outcome: PlaceOutcome
    sent_at: datetime | None
    late_ms: int | None


async def record_answer(session: AsyncSession, answer: Answer) -> OrderState:
    """Store one answer. Waits for the locks of its run and its order."""
    run = await session.scalar(select(Run).where(Run.id == answer.claimed.run_id).with_for_update())
    return (await _store(session, {answer.claimed.run_id: run}, [answer]))[0]


async def record_answers(session: AsyncSession, runs: Mapping[str, Run], answers: Sequence[Answer]) -> list[OrderState]:
    """Store answers to orders of different runs, which the caller has locked.

    Raises DBAPIError when somebody holds an order without its run.
    """
    theirs = any_of(sorted(answer.claimed.order_id for answer in answers))
    await session.execute(select(Order.id).where(Order.id == theirs).order_by(Order.id).with_for_update(nowait=True))
    return await _store(session, runs, answers)


async def _store(session: AsyncSession, runs: Mapping[str, Run | None], answers: Sequence[Answer]) -> list[OrderState]:
    states = await record_outcomes(session, answers)
    for answer in answers:
        append(session, OrderLog, **_log_line(answer.claimed, answer.outcome))
        run = runs[answer.claimed.run_id]
        if run is not None:
            _note_in_run(session, run, answer.claimed)
            tell_sent(session, run, answer)
    return [states[answer.claimed.order_id] for answer in answers]


def _note_in_run(session: AsyncSession, run: Run, claimed: ClaimedOrder) -> None:
    """An exit that was claimed is wanted, whatever becomes of this attempt."""
    if claimed.leg is Leg.EXIT and claimed.reason is not None:
        leave_because(session, run, claimed.reason, claimed.wanted_at, trigger=claimed.trigger)
        if run.state is not RunState.ENDED:
            run.state = RunState.LEAVING


def tell_sent(session: AsyncSession, run: Run, answer: Answer) -> None:
    """The line of the timeline that says an order left, or why it did not."""
    claimed, outcome = answer.claimed, answer.outcome
    request = claimed.request
    verb = "buy" if claimed.leg is Leg.ENTRY else "sell"
    what = f"{verb} {request.quantity} {request.instrument.symbol}, limit {rupees(request.price)}"
    if request.trigger_price is not None:
        what = f"{what}, resting at the broker below {rupees(request.trigger_price)}"
    if isinstance(outcome, Placed) and request.trigger_price is not None:
        words = f"A backup stop rests at the broker at {rupees(request.trigger_price)}"
        tell(session, run, "backup_placed", words, price=request.trigger_price, quantity=request.quantity, at=answer.sent_at)
    elif isinstance(outcome, Placed):
        tell(
            session,
            run,
            "order_sent",
            f"Order sent: {what}",
            price=request.price,
            quantity=request.quantity,
            late_ms=answer.late_ms,
            at=answer.sent_at,
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


_RECORD_PLACED = text(
    """
    UPDATE orders o SET
        state = CASE WHEN o.state IN ('sending', 'unknown') THEN 'open' ELSE o.state END,
        broker_order_id = COALESCE(o.broker_order_id, answers.broker_order_id),
        sent_at = COALESCE(o.sent_at, answers.sent_at), late_ms = COALESCE(o.late_ms, answers.late_ms),
        acknowledged_at = COALESCE(o.acknowledged_at, clock_timestamp()),
        revision = o.revision + 1, updated_at = clock_timestamp()
    FROM unnest(:order_ids, :broker_order_ids, :sent_ats, :late_mss) AS answers (order_id, broker_order_id, sent_at, late_ms)
    WHERE o.id = answers.order_id RETURNING o.id, o.state
    """
).bindparams(
    bindparam("order_ids", type_=ARRAY(Text)),
    bindparam("broker_order_ids", type_=ARRAY(Text)),
    bindparam("sent_ats", type_=ARRAY(DateTime(timezone=True))),
    bindparam("late_mss", type_=ARRAY(Integer)),
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


async def record_outcomes(session: AsyncSession, answers: Sequence[Answer]) -> dict[str, OrderState]:
    """Store answers whatever state the rows are in by now: the book may have been faster. The rows' states, by order id.

    An order that was held absent and turns out placed keeps its state and gains its broker's id: look.py takes it back.
    """
    states = await _record_placed(session, [answer for answer in answers if isinstance(answer.outcome, Placed)])
    for answer in answers:
        if not isinstance(answer.outcome, Placed):
            states[answer.claimed.order_id] = await _record_not_placed(session, answer)
    return states


async def _record_placed(session: AsyncSession, answers: Sequence[Answer]) -> dict[str, OrderState]:
    if not answers:
        return {}
    values = {
        "order_ids": [answer.claimed.order_id for answer in answers],
        "broker_order_ids": [answer.outcome.broker_order_id for answer in answers if isinstance(answer.outcome, Placed)],
        "sent_ats": [answer.sent_at for answer in answers],
        "late_mss": [answer.late_ms for answer in answers],
    }
    return {order_id: OrderState(state) for order_id, state in await session.execute(_RECORD_PLACED, values)}


async def _record_not_placed(session: AsyncSession, answer: Answer) -> OrderState:
    outcome, order_id = answer.outcome, answer.claimed.order_id
    values: dict[str, Any] = {"order_id": order_id, "sent_at": answer.sent_at}
    if isinstance(outcome, Refused):
        # A refusal before the first byte leaves no time of sending behind.
        sent = None if outcome.kind is RefusalKind.NOT_SENT else answer.sent_at
        refusal = {"refusal": outcome.kind.value, "message": outcome.message[:1000]}
        row = await session.execute(_RECORD_REFUSED, {**values, "sent_at": sent, **refusal})
    else:
        assert isinstance(outcome, Unknown)  # noqa: S101 (exhausts the union for the type checker)
        row = await session.execute(_RECORD_UNKNOWN, {**values, "message": outcome.why[:1000]})
    changed = row.scalar_one_or_none()
    if changed is None:
        changed = (
            await session.execute(text("SELECT state FROM orders WHERE id = :order_id"), {"order_id": order_id})
        ).scalar_one()
    return OrderState(changed)


def _log_line(claimed: ClaimedOrder, outcome: PlaceOutcome) -> dict[str, Any]:
    request = claimed.request
    answer: dict[str, Any]
    if isinstance(outcome, Placed):
        answer = {"outcome": "placed", "broker_order_id": outcome.broker_order_id}
    elif isinstance(outcome, Refused):
        answer = {"outcome": "refused", "kind": outcome.kind.value, "message": outcome.message}
    else:
        assert isinstance(outcome, Unknown)  # noqa: S101 (exhausts the union for the type checker)
        answer = {"outcome": "unknown", "why": outcome.why}
    return {
        "order_id": claimed.order_id,
        "account_id": claimed.account_id,
        "user_id": claimed.user_id,
        "what": "place",
        "request": {
            "tag": request.tag,
            "instrument": str(request.instrument),
            "side": request.side.value,
            "product": request.product.value,
            "quantity": request.quantity,
            "price": str(request.price),
            **({} if request.trigger_price is None else {"trigger_price": str(request.trigger_price)}),
        },
        "answer": answer,
        "at": None,
    }
