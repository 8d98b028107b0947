"""What live streams look for, of all connected users at once: one statement each, however many they are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import Alert, BrokerAccount, FillRow, Order, ReadinessCheck, Run, Strategy
from trading.runs import RunState, StrategyState


@dataclass(frozen=True, slots=True)
class Mark:
    """An open run: the mark differs as soon as one of its rows has changed."""

    user_id: str
    run_id: str
    changed_at: datetime
    revisions: int


async def marks(session: AsyncSession, users: Collection[str]) -> dict[str, Mark]:
    """By strategy, of everything that is open."""
    revisions = select(func.coalesce(func.sum(Order.revision), 0)).where(Order.run_id == Run.id).scalar_subquery()
    rows = await session.execute(
        select(Run.strategy_id, Run.user_id, Run.id, Run.updated_at, revisions).where(
            Run.user_id.in_(users), Run.state != RunState.ENDED
        )
    )
    return {row[0]: Mark(row[1], row[2], row[3], int(row[4])) for row in rows}


async def running_ids(session: AsyncSession, user_id: str, *, most: int) -> Sequence[str]:
    """Strategies that are running, the newest first."""
    running = select(Strategy.id).where(
        Strategy.user_id == user_id, Strategy.state == StrategyState.RUNNING, Strategy.deleted_at.is_(None)
    )
    return (await session.scalars(running.order_by(Strategy.id.desc()).limit(most))).all()


async def orders_of(session: AsyncSession, run_ids: Collection[str]) -> Mapping[str, list[Order]]:
    """By run, oldest first."""
    found: dict[str, list[Order]] = {}
    for order in await session.scalars(select(Order).where(Order.run_id.in_(run_ids)).order_by(Order.id)):
        found.setdefault(order.run_id, []).append(order)
    return found


async def fills_of(session: AsyncSession, run_ids: Collection[str]) -> Mapping[str, list[FillRow]]:
    """By run, in the order they happened."""
    found: dict[str, list[FillRow]] = {}
    chosen = select(FillRow).where(FillRow.run_id.in_(run_ids)).order_by(FillRow.filled_at, FillRow.id)
    for fill in await session.scalars(chosen):
        found.setdefault(fill.run_id, []).append(fill)
    return found


async def open_alerts(
    session: AsyncSession, users: Collection[str], *, everybody: Collection[str], most: int
) -> Sequence[tuple[Alert, str | None]]:
    """Neither over nor acknowledged, oldest first, each with the strategy of the run it names: the users' own, and the platform's
    of these kinds."""
    theirs = or_(Alert.user_id.in_(users), and_(Alert.user_id.is_(None), Alert.kind.in_(everybody)))
    still = (Alert.cleared_at.is_(None), Alert.acknowledged_at.is_(None))
    rows = select(Alert, Run.strategy_id).outerjoin(Run, Run.id == Alert.run_id).where(theirs, *still)
    newest = [(row[0], row[1]) for row in await session.execute(rows.order_by(Alert.id.desc()).limit(most))]
    return list(reversed(newest))


async def alerts_by_id(session: AsyncSession, alert_ids: Collection[str]) -> Sequence[tuple[Alert, str | None]]:
    rows = select(Alert, Run.strategy_id).outerjoin(Run, Run.id == Alert.run_id).where(Alert.id.in_(alert_ids))
    return [(row[0], row[1]) for row in await session.execute(rows.order_by(Alert.id))]


async def readiness_since(session: AsyncSession, users: Collection[str], day: date) -> Sequence[ReadinessCheck]:
    """What was found of their accounts for that trading day and later ones, oldest first."""
    found = (
        select(ReadinessCheck)
        .join(BrokerAccount, BrokerAccount.id == ReadinessCheck.account_id)
        .where(BrokerAccount.user_id.in_(users), BrokerAccount.deleted_at.is_(None), ReadinessCheck.trading_day >= day)
    )
    return (await session.scalars(found.order_by(ReadinessCheck.id))).all()
