"""Alarms by the rows alone, for when a desk cannot speak: it has died, has nothing left to do, or cannot read the broker's book.

Clears what the rows show to be over, and raises for doubts that last.
"""

from datetime import timedelta

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from execution.alarm_kinds import KINDS, Over
from execution.alarms import doubt_alarm, raise_alarm
from execution.look import DOUBT_ALARM_AFTER
from storage.models import Alert, BrokerAccount, Order, Run
from trading.orders import IN_DOUBT_STATES, LIVE_STATES
from trading.runs import RunState

MOST_AT_ONCE = 200
# A look before the open says nothing of tomorrow.
MORNING = timedelta(hours=12)
_END_BY_THEMSELVES = [name for name, kind in KINDS.items() if kind.over is Over.ITSELF]


async def clear_what_is_over(session: AsyncSession) -> list[str]:
    """Keys of the alarms that were cleared."""
    over = or_(_run_has_ended(), _order_is_settled(), _somebody_has_logged_in(), _account_has_nothing_open(), _morning_is_over())
    mine = update(Alert).where(Alert.cleared_at.is_(None), Alert.kind.in_(_END_BY_THEMSELVES), over)
    return list(await session.scalars(mine.values(cleared_at=func.clock_timestamp()).returning(Alert.key)))


def _run_has_ended() -> ColumnElement[bool]:
    return exists(select(Run.id).where(Run.id == Alert.run_id, Run.state == RunState.ENDED))


def _order_is_settled() -> ColumnElement[bool]:
    order_id = func.split_part(Alert.key, ":", 2)
    settled = exists(select(Order.id).where(Order.id == order_id, Order.state.not_in(IN_DOUBT_STATES)))
    return and_(Alert.kind == "order_in_doubt", settled)


def _somebody_has_logged_in() -> ColumnElement[bool]:
    account = select(BrokerAccount.id).where(BrokerAccount.id == Alert.account_id)
    renewed = or_(BrokerAccount.session_started_at > Alert.raised_at, BrokerAccount.deleted_at.is_not(None))
    return and_(Alert.kind == "token_expired", exists(account.where(renewed)))


def _account_has_nothing_open() -> ColumnElement[bool]:
    """Its desk is closed and looks no more; should the broker still be away, the next run will meet it."""
    run = exists(select(Run.id).where(Run.account_id == Alert.account_id, Run.state != RunState.ENDED))
    order = exists(select(Order.id).where(Order.account_id == Alert.account_id, Order.state.in_(LIVE_STATES)))
    return and_(Alert.kind == "broker_down", ~run, ~order)


def _morning_is_over() -> ColumnElement[bool]:
    return and_(Alert.kind == "not_ready", Alert.raised_at < func.clock_timestamp() - MORNING)


async def alarm_long_doubts(session: AsyncSession) -> None:
    """Also those whose desk cannot read the book, or is gone: a doubt is measured by its row."""
    lasting = Order.claimed_at < func.clock_timestamp() - DOUBT_ALARM_AFTER
    key = func.concat("in-doubt:", Order.id)
    up = exists(select(Alert.id).where(Alert.key == key, Alert.cleared_at.is_(None)))
    orders = select(Order).where(Order.state.in_(IN_DOUBT_STATES), lasting, ~up).order_by(Order.id).limit(MOST_AT_ONCE)
    for order in await session.scalars(orders):
        await raise_alarm(session, doubt_alarm(order.id, order.run_id, user_id=order.user_id, account_id=order.account_id))
