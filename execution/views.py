"""Rows as the planner sees them."""

from collections.abc import Iterable
from datetime import datetime

from cache.channels import ArmedStop
from storage.models import Order, Run
from trading.instruments import InstrumentId
from trading.next_step import AttemptView, RunView
from trading.orders import Leg, RefusalKind
from trading.runs import Holding
from trading.sessions import day_ends_at
from trading.trailing import trail_of


def attempt_view(order: Order) -> AttemptView:
    return AttemptView(
        order_id=order.id,
        attempt=order.attempt,
        state=order.state,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        band_step=order.band_step,
        modifications=order.modifications,
        change_pending=order.change_kind is not None,
        cancel_wanted_at=order.cancel_wanted_at,
        wanted_at=order.wanted_at,
        fire_at=order.fire_at,
        deadline_at=order.deadline_at,
        touched_at=max((at for at in (order.acknowledged_at, order.changed_at) if at is not None), default=order.claimed_at),
        ended_at=order.ended_at,
        refusal=RefusalKind(order.refusal) if order.refusal else None,
        stop_price=order.stop_price,
        backup_trigger=order.backup_trigger,
        changed_at=order.changed_at,
    )


def run_view(
    run: Run,
    orders: Iterable[Order],
    *,
    entries_locked: bool = False,
    is_suspended: bool = False,
    session_since: datetime | None = None,
    fires_by_itself: bool = False,
    stops_may_rest: bool = False,
) -> RunView:
    attempts = sorted(orders, key=lambda order: order.attempt)
    return RunView(
        quantity=run.quantity,
        bought=run.bought,
        sold=run.sold,
        taken_elsewhere=run.taken_elsewhere,
        entries=tuple(attempt_view(order) for order in attempts if order.leg is Leg.ENTRY),
        exits=tuple(attempt_view(order) for order in attempts if order.leg is Leg.EXIT),
        exit_wanted_at=run.exit_wanted_at,
        leave_open=run.leave_open,
        entries_locked=entries_locked,
        is_suspended=is_suspended,
        session_since=session_since,
        fires_by_itself=fires_by_itself,
        hand_over_at=run.hand_over_at,
        day_ends_at=day_ends_at(run.trading_day),
        is_handed_over=run.handed_over_at is not None,
        wants_backup=run.backup_stop and stops_may_rest,
    )


def armed_stop(run: Run, *, armed_at: datetime) -> ArmedStop:
    """What the listener needs to know of a run whose exit is armed; prices from before `armed_at` do not count."""
    return ArmedStop(
        run.id,
        run.account_id,
        InstrumentId(run.exchange, run.symbol),
        run.stop_loss,
        run.stop_version,
        armed_at=armed_at,
        target=run.target_price,
        trail=trail_of(run.trailing_by, run.trailing_percent),
        highest=run.highest_price,
    )


def is_trailing(run: Run) -> bool:
    return run.trailing_by is not None or run.trailing_percent is not None


def holding_of(run: Run) -> Holding:
    return Holding(run.bought, run.buy_value, run.sold, run.sell_value, run.taken_elsewhere)
