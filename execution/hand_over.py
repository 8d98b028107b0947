"""The hand-over: at the product's last moment what is still open becomes a person's, and an alarm says so until it is over.

After it nothing is bought or sold for the run any more: the broker squares intraday positions off by itself, and an order of ours
beside its own could leave the account short.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from execution.alarms import Alarm, raise_alarm
from execution.timeline import tell
from execution.views import holding_of
from storage.models import Order, Run
from trading.orders import IN_DOUBT_STATES, OrderState
from trading.sessions import INDIA


def alarm_key(run_id: str) -> str:
    """The alarm of a run that was handed over."""
    return f"handed-over:{run_id}"


async def hand_over(session: AsyncSession, run: Run, orders: Iterable[Order], *, now: datetime) -> None:
    """Note that a person looks after this run from now on. The run is locked by the caller."""
    run.handed_over_at = now
    message = _words(run, in_doubt=any(order.state in IN_DOUBT_STATES for order in orders))
    tell(session, run, "handed_over", message, quantity=holding_of(run).open_quantity, at=now)
    alarm = Alarm(alarm_key(run.id), "handed_over", message, user_id=run.user_id, account_id=run.account_id, run_id=run.id)
    await raise_alarm(session, alarm)


def give_up_reading(session: AsyncSession, run: Run, order: Order, *, now: datetime) -> None:
    """The broker's day is over: its book will never tell what became of this order. It is not sent again."""
    order.state, order.ended_at = OrderState.HANDED_OVER, now
    order.revision += 1
    order.change_kind = order.change_state = order.change_price = order.change_quantity = order.change_trigger = None
    message = f"The broker's day ended before the outcome of {order.leg.value} order {order.tag} was known"
    tell(session, run, "order_never_read", message, data={"order_id": order.id})


def _words(run: Run, *, in_doubt: bool) -> str:
    at = run.hand_over_at.astimezone(INDIA)
    shares = holding_of(run).open_quantity
    what = f"{shares} {run.symbol} are not sold" if shares > 0 else f"an order for {run.symbol} is not finished"
    doubt = "; the outcome of an order is not known yet" if in_doubt else ""
    so = "Nothing more is sent: look at the position in your broker account"
    return f"At {at:%H:%M}, the last moment to trade, {what}{doubt}. {so}"
