"""Follow: what the broker says of an order goes into its row, its fills and its run, in one transaction.

The exit is armed in the same transaction as the first fill: there is no moment in which a filled share is not covered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from execution.alarms import Alarm, raise_alarm
from execution.arming import arm_entry, arm_exit
from execution.commands import leave_because, want_exit
from execution.hand_over import give_up_reading
from execution.rows import lock_run
from execution.timeline import rupees, tell
from execution.views import holding_of, is_trailing, run_view
from storage.ids import new_id
from storage.models import FillRow, Order, Run
from trading.fills import Progress, follow, sum_trades
from trading.next_step import ArmExit, GiveUpReading, LeaveAtItsTime, ResizeArmed, RetryEntry, Step, Supersede, next_steps
from trading.orders import (
    DEAD_STATES,
    IN_DOUBT_STATES,
    BrokerOrder,
    BrokerOrderStatus,
    BrokerTrade,
    Leg,
    OrderState,
    can_become,
)
from trading.runs import ExitReason, LastAction, RunState

_log = structlog.get_logger()

# The rows are its parameters: with them inside, it would be another statement for every number of fills.
_INSERT_FILLS = insert(FillRow).on_conflict_do_nothing()


@dataclass(slots=True)
class Followed:
    """What one look changed."""

    run_id: str
    changed: bool = False
    filled_more: bool = False
    ended: bool = False
    armed_exit: Order | None = None
    armed_for: Run | None = None  # the run of `armed_exit`
    armed_entry: Order | None = None
    disarmed: bool = False
    oddities: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of one order. `trades` are its executions by id, or None when the trade book was not read."""

    order_id: str
    run_id: str
    seen: BrokerOrder
    trades: Mapping[str, BrokerTrade] | None = None


async def record_look(session: AsyncSession, sight: Sight, *, now: datetime) -> Followed:
    """Store one look at an order. Raises LookupError when its row is gone.

    Locks the run, then its orders: everything that changes a run takes its locks in this order.
    """
    locked = await lock_run(session, sight.run_id)
    if locked is None:
        raise LookupError(f"run {sight.run_id} is gone")
    return (await _store(session, [_Taken.of(sight, *locked)], now))[0]


async def record_looks(
    session: AsyncSession, locked: Mapping[str, tuple[Run, list[Order]]], sights: Sequence[Sight], *, now: datetime
) -> list[Followed]:
    """Store looks at orders of different runs, one sight of each run. `locked`: these runs by id, each with its orders.

    Raises LookupError when an order's row is gone.
    """
    return await _store(session, [_Taken.of(sight, *locked[sight.run_id]) for sight in sights], now)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A sight with the locked rows it is about."""

    sight: Sight
    run: Run
    orders: list[Order]
    order: Order
    followed: Followed

    @staticmethod
    def of(sight: Sight, run: Run, orders: list[Order]) -> "_Taken":
        order = next((row for row in orders if row.id == sight.order_id), None)
        if order is None:
            raise LookupError(f"order {sight.order_id} of run {sight.run_id} is gone")
        return _Taken(sight, run, orders, order, Followed(sight.run_id))


async def _store(session: AsyncSession, taken: list[_Taken], now: datetime) -> list[Followed]:
    for one in taken:
        await _apply(session, one.run, one.order, one.sight.seen, one.sight.trades, now, one.followed)
        if one.followed.filled_more:
            _recount(one.run, one.orders, now)
            await _tell_oversold(session, one.run)
    changed = [one for one in taken if one.followed.changed]
    if changed:
        # An attempt that has just ended must leave the leg before the next one takes it.
        await session.flush()
    for one in changed:
        cover(session, one.run, one.orders, now=now, followed=one.followed)
    return [one.followed for one in taken]


async def _apply(
    session: AsyncSession,
    run: Run,
    order: Order,
    seen: BrokerOrder,
    trades: Mapping[str, BrokerTrade] | None,
    now: datetime,
    followed: Followed,
) -> None:
    before = Progress(order.state, order.filled_quantity, order.average_price)
    after = follow(before, seen, sum_trades(trades.values()) if trades is not None else None)
    if after.filled_quantity > order.quantity:
        followed.oddities.append(f"{order.tag} filled {after.filled_quantity} of {order.quantity}")
    if order.leg is Leg.EXIT and order.reason is not None and order.wanted_at is not None:
        leave_because(session, run, order.reason, order.wanted_at, trigger=order.trigger_price)
    triggered = _has_triggered(run, order, seen, filled=after.filled_quantity)
    if triggered:
        # The market was there before anybody of us: the stop has been hit, and what is left of the order is the exit.
        order.reason, order.wanted_at, order.trigger_price = ExitReason.STOP_LOSS, now, order.backup_trigger
        tell(session, run, "backup_triggered", "The backup stop at the broker was reached", price=order.backup_trigger)
        leave_because(session, run, ExitReason.STOP_LOSS, now, trigger=order.backup_trigger)
    order.broker_order_id = order.broker_order_id or seen.broker_order_id
    order.exchange_order_id = seen.exchange_order_id or order.exchange_order_id
    order.algo_id = seen.algo_id or order.algo_id
    if trades:
        await _store_fills(session, order, trades)
    state = _next_state(before.state, after.state, followed)
    first_fill = after.filled_quantity > 0 and before.filled_quantity == 0
    followed.filled_more = after.filled_quantity > before.filled_quantity or after.average_price != before.average_price
    followed.ended = state is not before.state and state in DEAD_STATES
    followed.changed = followed.filled_more or state is not before.state or triggered
    if not followed.changed:
        return
    adopted = before.state in IN_DOUBT_STATES
    order.state, order.filled_quantity, order.average_price = state, after.filled_quantity, after.average_price
    order.revision += 1
    order.missing_since = None
    if adopted:
        order.acknowledged_at = order.acknowledged_at or now
    if before.state is OrderState.UNKNOWN or (adopted and order.send_by is not None and order.send_by < now):
        tell(session, run, "order_found", f"Order {order.tag} was found in the broker's book", data={"order_id": order.id})
    if first_fill:
        order.filled_at = now
    if after.filled_quantity >= order.quantity > before.filled_quantity:
        _tell_filled(session, run, order)
    if followed.ended:
        order.ended_at = now
        order.message = seen.message or order.message
        order.change_kind = order.change_state = order.change_price = order.change_quantity = order.change_trigger = None
        _tell_end(session, run, order)


def _has_triggered(run: Run, order: Order, seen: BrokerOrder, *, filled: int) -> bool:
    """Whether a backup that nobody wanted as the exit yet waits no more. Our own change of it into the exit comes after the wish
    to leave, so without one it was the market."""
    if order.backup_trigger is None or run.exit_wanted_at is not None:
        return False
    waits_no_more = seen.status is BrokerOrderStatus.OPEN and seen.trigger_price is None
    return filled > order.filled_quantity or waits_no_more


def _next_state(before: OrderState, wanted: OrderState, followed: Followed) -> OrderState:
    if wanted is OrderState.OPEN and before in DEAD_STATES:
        # An attempt held dead turns up alive: its state stays, look.py cancels it; a newer attempt may hold the leg.
        return before
    if can_become(before, wanted):
        return wanted
    followed.oddities.append(f"the broker moved an order from {before.value} to {wanted.value}")
    return before


async def _store_fills(session: AsyncSession, order: Order, trades: Mapping[str, BrokerTrade]) -> None:
    rows = [
        {
            "id": new_id(FillRow.id_prefix),
            "order_id": order.id,
            "run_id": order.run_id,
            "user_id": order.user_id,
            "account_id": order.account_id,
            "broker_order_id": trade.broker_order_id,
            "trade_id": trade.trade_id,
            "quantity": trade.quantity,
            "price": trade.price,
            "filled_at": trade.filled_at,
        }
        for trade in trades.values()
    ]
    await session.execute(_INSERT_FILLS, rows)


def _tell_filled(session: AsyncSession, run: Run, order: Order, *, ending: str = "") -> None:
    kind, verb = ("bought", "Bought") if order.leg is Leg.ENTRY else ("sold", "Sold")
    message = f"{verb} {order.filled_quantity}{ending} at {rupees(order.average_price)}"
    tell(session, run, kind, message, price=order.average_price, quantity=order.filled_quantity, late_ms=order.late_ms)


def _tell_end(session: AsyncSession, run: Run, order: Order) -> None:
    """How an attempt ended that did not fill to the last share."""
    if 0 < order.filled_quantity < order.quantity:
        _tell_filled(session, run, order, ending=f" of {order.quantity}, the rest was cancelled,")
    elif order.state is OrderState.REJECTED:
        tell(session, run, "rejected", f"The broker rejected the {order.leg.value}: {order.message or 'no reason given'}")
    elif not order.filled_quantity:
        tell(session, run, "cancelled", f"The {order.leg.value} was cancelled without a fill")


def _recount(run: Run, orders: list[Order], now: datetime) -> None:
    """The run's own shares, from all of its attempts, dead ones included."""
    run.bought, run.buy_value = _sum(orders, Leg.ENTRY)
    run.sold, run.sell_value = _sum(orders, Leg.EXIT)
    entries = [order for order in orders if order.leg is Leg.ENTRY and order.late_ms is not None]
    exits = [order for order in orders if order.leg is Leg.EXIT and order.late_ms is not None]
    run.entry_late_ms = entries[0].late_ms if entries else None
    run.exit_late_ms = exits[0].late_ms if exits else None
    holding = holding_of(run)
    run.position = holding.position(run.exit_reason)
    run.realised_pnl = holding.realised_pnl
    run.last_action = _last_action(run)
    if run.highest_price is None and run.bought and is_trailing(run):
        # What was paid is the first price since the entry; the listener takes it from there.
        run.highest_price = run.buy_value / run.bought
    if run.state in (RunState.SCHEDULED, RunState.ENTERING) and run.bought:
        run.state = RunState.HOLDING
    if run.sold and run.state is not RunState.ENDED:
        run.state = RunState.LEAVING
    run.updated_at = now


async def _tell_oversold(session: AsyncSession, run: Run) -> None:
    """An exit that landed after its absence was proven, beside the one that took its place. Nobody buys back by himself."""
    too_many = -holding_of(run).open_quantity
    if too_many <= 0:
        return
    message = f"{too_many} {run.symbol} more were sold than this run held: look at the position in your broker account"
    key = f"oversold:{run.id}"
    alarm = Alarm(key, "oversold", message, user_id=run.user_id, account_id=run.account_id, run_id=run.id)
    if await raise_alarm(session, alarm):
        tell(session, run, "oversold", message, quantity=too_many)


def _last_action(run: Run) -> LastAction | None:
    if run.sold:
        return LastAction.SL_HIT if run.exit_reason is ExitReason.STOP_LOSS else LastAction.SELL
    return LastAction.BUY if run.bought else None


def _sum(orders: list[Order], leg: Leg) -> tuple[int, Decimal]:
    filled = [order for order in orders if order.leg is leg and order.filled_quantity]
    return sum(order.filled_quantity for order in filled), sum(
        (order.filled_quantity * order.average_price for order in filled), Decimal(0)
    )


def cover(session: AsyncSession, run: Run, orders: list[Order], *, now: datetime, followed: Followed) -> None:
    """Carry out the steps that need no broker, in the transaction that changed the fills: arm, resize or stand down."""
    late = run.state is RunState.ENDED and holding_of(run).open_quantity > 0 and now < run.hand_over_at
    if late and not run.leave_open and run.exit_wanted_at is None:
        want_exit(run, ExitReason.LATE_FILL, now)
        tell(session, run, "late_fill", f"A late fill appeared: {holding_of(run).open_quantity} shares are sold at once")
    carry_out_rows(session, run, orders, next_steps(run_view(run, orders), now), now=now, followed=followed)


def carry_out_rows(
    session: AsyncSession, run: Run, orders: list[Order], steps: tuple[Step, ...], *, now: datetime, followed: Followed
) -> tuple[Step, ...]:
    """Do what only rows need; return the steps that need the broker. The rows are locked by the caller."""
    by_id = {order.id: order for order in orders}
    left: list[Step] = []
    for step in steps:
        if isinstance(step, ArmExit):
            _arm_exit(session, run, step, now, followed)
        elif isinstance(step, RetryEntry):
            deadline = step.deadline_at or now
            retried = arm_entry(session, run, attempt=step.attempt, quantity=step.quantity, fire_at=now, deadline_at=deadline)
            tell(session, run, "entry_retried", f"Trying to buy again, attempt {step.attempt}", quantity=step.quantity)
            followed.armed_entry = retried
        elif isinstance(step, ResizeArmed):
            order = by_id[step.order_id]
            order.quantity, order.revision = step.quantity, order.revision + 1
        elif isinstance(step, Supersede):
            order = by_id[step.order_id]
            order.state, order.superseded_for, order.ended_at = OrderState.SUPERSEDED, step.why, now
            order.revision += 1
            followed.disarmed = followed.disarmed or order.leg is Leg.EXIT
        elif isinstance(step, LeaveAtItsTime):
            want_exit(run, ExitReason.SELL_TIME, step.at)
        elif isinstance(step, GiveUpReading):
            give_up_reading(session, run, by_id[step.order_id], now=now)
        else:
            left.append(step)
            continue
        followed.changed = True
    return tuple(left)


def _arm_exit(session: AsyncSession, run: Run, step: ArmExit, now: datetime, followed: Followed) -> None:
    wanted_at = (run.exit_wanted_at or now) if step.wanted else None
    order = arm_exit(session, run, attempt=step.attempt, quantity=step.quantity, band_step=step.band_step, wanted_at=wanted_at)
    followed.armed_exit, followed.armed_for = order, run
    if step.wanted:
        tell(session, run, "exit_prepared", f"Selling {step.quantity} {run.symbol}", quantity=step.quantity)
    else:
        target = "" if run.target_price is None else f", target at {rupees(run.target_price)},"
        text = f"Stop-loss armed at {rupees(run.stop_loss)}{target} for {step.quantity} {run.symbol}"
        tell(session, run, "stop_armed", text, price=run.stop_loss, quantity=step.quantity)
