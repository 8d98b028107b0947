"""A run begins as a row, before its workflow exists: the row is what a second start, a stop or a recovery finds."""

from datetime import datetime, timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from activities.messages import StrategyInput
from execution import leases
from execution.timeline import tell
from storage.models import BrokerAccount, Run, Strategy
from trading.lead import Lead
from trading.runs import EndReason, RunState, StrategyState
from trading.schedule import RunWindow
from trading.sessions import INDIA


class AlreadyRunning(Exception):
    """The strategy has an open run; a second one is never started."""


async def create_run(
    session: AsyncSession,
    *,
    strategy: Strategy,
    account: BrokerAccount,
    window: RunWindow,
    starts_now: bool,
    workflow_id: str,
    started_by: str,
) -> Run:
    """Write the run and mark the strategy as running. Raises AlreadyRunning when one is open."""
    place_in_buys, place_in_sales = await _places(session, window)
    run = Run(
        strategy_id=strategy.id,
        user_id=strategy.user_id,
        account_id=account.id,
        strategy_version=strategy.version,
        environment=account.environment,
        trading_day=window.trading_day,
        workflow_id=workflow_id,
        state=RunState.SCHEDULED,
        exchange=strategy.exchange,
        symbol=strategy.symbol,
        product=strategy.product,
        quantity=strategy.quantity,
        buy_at=window.buy_at,
        sell_at=window.sell_at,
        hand_over_at=window.hand_over_at,
        stop_loss=strategy.stop_loss,
        stop_version=1,
        target_price=strategy.target_price,
        trailing_by=strategy.trailing_by,
        trailing_percent=strategy.trailing_percent,
        backup_stop=strategy.backup_stop,
        max_lateness_seconds=strategy.max_lateness_seconds,
        starts_now=starts_now,
        place_in_buys=place_in_buys,
        place_in_sales=place_in_sales,
        created_by=started_by,
    )
    try:
        async with session.begin_nested():
            session.add(run)
    except IntegrityError as error:
        raise AlreadyRunning(f"strategy {strategy.id} has an open run") from error
    await leases.ensure(session, account.id)
    strategy.state = StrategyState.RUNNING
    buy_at = window.buy_at.astimezone(INDIA)
    when = "now" if starts_now else f"at {buy_at:%H:%M:%S} on {buy_at:%d %b %Y}"
    tell(
        session,
        run,
        "scheduled",
        f"Will buy {run.quantity} {run.symbol} {when} ({account.environment.value} account)",
        quantity=run.quantity,
    )
    return run


async def _places(session: AsyncSession, window: RunWindow) -> tuple[int, int]:
    """How many others buy, and sell, in the same seconds; those that are written at this very moment may take the same places."""
    buys = _due_in_second_of(Run.buy_at, window.buy_at).where(Run.state == RunState.SCHEDULED)
    sales = _due_in_second_of(Run.sell_at, window.sell_at).where(Run.state != RunState.ENDED)
    in_buys, in_sales = (await session.execute(select(buys.scalar_subquery(), sales.scalar_subquery()))).one()
    return in_buys, in_sales


def _due_in_second_of(column: InstrumentedAttribute[datetime], instant: datetime) -> Select[int]:
    second = instant.replace(microsecond=0)
    return select(func.count()).where(column >= second, column < second + timedelta(seconds=1))


def strategy_input(run: Run, lead: Lead) -> StrategyInput:
    """What the run's workflow is started with."""
    return StrategyInput(
        run_id=run.id,
        strategy_id=run.strategy_id,
        user_id=run.user_id,
        account_id=run.account_id,
        exchange=run.exchange,
        symbol=run.symbol,
        quantity=run.quantity,
        trading_day=run.trading_day,
        buy_at=run.buy_at,
        sell_at=run.sell_at,
        stop_loss=run.stop_loss,
        stop_version=run.stop_version,
        max_lateness_seconds=run.max_lateness_seconds,
        lead_seconds=lead.before(run.strategy_id, place=run.place_in_buys).total_seconds(),
        entry_deadline_seconds=lead.deadline_seconds,
        buy_asked_after=lead.after(place=run.place_in_buys).total_seconds(),
        sell_asked_after=lead.after(place=run.place_in_sales).total_seconds(),
    )


async def abandon_run(session: AsyncSession, run_id: str, *, detail: str, now: datetime) -> None:
    """The workflow could not be started: end the row again. Does nothing once the run has begun."""
    run = await session.scalar(select(Run).where(Run.id == run_id).with_for_update())
    if run is None or run.state is not RunState.SCHEDULED or run.started_at is not None:
        return
    run.state, run.end_reason, run.end_detail, run.ended_at = RunState.ENDED, EndReason.MISSED, detail, now
    strategy = await session.get_one(Strategy, run.strategy_id)
    strategy.state = StrategyState.FAILED
    tell(session, run, "not_started", f"Not started: {detail}")
