"""Clears alarms whose end the rows show, when whoever raised them is not there to see it: a worker that died, a desk without
anything left to do, an order that was settled by somebody else."""

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from execution.alarm_kinds import KINDS, Over
from storage.models import Alert, BrokerAccount, Order, Run
from trading.orders import IN_DOUBT_STATES
from trading.runs import RunState

_END_BY_THEMSELVES = [name for name, kind in KINDS.items() if kind.over is Over.ITSELF]


async def clear_what_is_over(session: AsyncSession) -> list[str]:
    """Keys of the alarms that were cleared."""
    over = or_(_run_has_ended(), _order_is_settled(), _somebody_has_logged_in())
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
