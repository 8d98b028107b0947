"""Opening the trading day: today's rows of every strategy that repeats."""

from collections.abc import Callable
from datetime import date

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.messages import NotStarted, PreparedRuns, PrepareRuns, StrategyInput
from activities.signatures import TradingDayActivities
from execution.alarms import Alarm, raise_alarm
from execution.day_limits import Instruments
from execution.starting import AlreadyRunning, create_run, strategy_input
from storage.database import Database
from storage.models import BrokerAccount, Run, Strategy, User, UserState
from storage.repositories import switches
from storage.repositories.switches import Flag, Switches
from trading.accounts import Environment
from trading.instruments import InstrumentId
from trading.lead import Lead
from trading.plan import Plan, Repeat
from trading.runs import StrategyState
from trading.schedule import window_on
from trading.sessions import TradingCalendar

# The workflow's id for a strategy and a day; handed in, because bodies do not know workflows.
WorkflowId = Callable[[str, date], str]

PAGE = 100
# A strategy repeats once its owner has started it, until they stop it.
REPEATS = (StrategyState.RUNNING, StrategyState.COMPLETED, StrategyState.FAILED)


class RowTradingDayActivities(TradingDayActivities):
    def __init__(
        self, *, database: Database, instruments: Instruments, calendar: TradingCalendar, lead: Lead, workflow_id: WorkflowId
    ) -> None:
        self._database = database
        self._instruments = instruments
        self._calendar = calendar
        self._lead = lead
        self._workflow_id = workflow_id

    @activity.defn
    async def prepare_runs(self, request: PrepareRuns) -> PreparedRuns:
        async with self._database.transaction() as session:
            repeating = select(Strategy).where(
                Strategy.repeat == Repeat.DAILY, Strategy.state.in_(REPEATS), Strategy.deleted_at.is_(None)
            )
            page = repeating.where(Strategy.id > request.after).order_by(Strategy.id).limit(PAGE)
            strategies = list(await session.scalars(page))
            switched = await switches.load(session)
            started: list[StrategyInput] = []
            failed: list[NotStarted] = []
            for strategy in strategies:
                outcome = await self._prepare(session, strategy, request, switched)
                if isinstance(outcome, StrategyInput):
                    started.append(outcome)
                elif outcome is not None:
                    failed.append(outcome)
        return PreparedRuns(tuple(started), tuple(failed), strategies[-1].id if len(strategies) == PAGE else "")

    async def _prepare(
        self, session: AsyncSession, strategy: Strategy, request: PrepareRuns, switched: Switches
    ) -> StrategyInput | NotStarted | None:
        """A row for today, the one that is there already if its workflow was not started yet, or why there is none."""
        todays = select(Run).where(Run.strategy_id == strategy.id, Run.trading_day == request.trading_day)
        known = await session.scalar(todays.order_by(Run.id.desc()).limit(1))
        if known is not None:
            # Never twice on a day. A row without a workflow is one whose start was interrupted: it is started again.
            return strategy_input(known, self._lead) if known.started_at is None and known.ended_at is None else None
        why = await self._create(session, strategy, request, switched)
        if isinstance(why, Run):
            return strategy_input(why, self._lead)
        alarm = Alarm(f"not-started:{strategy.id}:{request.trading_day}", "strategy_failed", why, user_id=strategy.user_id)
        await raise_alarm(session, alarm)
        return NotStarted(strategy.id, why)

    async def _create(self, session: AsyncSession, strategy: Strategy, request: PrepareRuns, switched: Switches) -> Run | str:
        account = await session.get(BrokerAccount, strategy.account_id) if strategy.account_id else None
        instrument = self._instruments.find(InstrumentId(strategy.exchange, strategy.symbol))
        exchange_day = self._calendar.day(request.trading_day)
        if account is None or account.deleted_at is not None:
            return "no broker account is connected to this strategy"
        off = _switched_off(switched, account)
        if off is not None:
            return off
        owner = await session.get_one(User, strategy.user_id)
        if owner.state is not UserState.ACTIVE:
            return "its owner is suspended"
        if instrument is None:
            return f"{strategy.exchange}:{strategy.symbol} is not listed today"
        if exchange_day is None:
            return "the exchange is closed today"
        window = window_on(_plan(strategy), instrument=instrument, exchange_day=exchange_day)
        try:
            return await create_run(
                session,
                strategy=strategy,
                account=account,
                window=window,
                starts_now=False,
                workflow_id=self._workflow_id(strategy.id, request.trading_day),
                started_by="trading-day",
            )
        except AlreadyRunning:
            return "yesterday's run is still open"


def _switched_off(switched: Switches, account: BrokerAccount) -> str | None:
    """Why nothing is started, if an administrator wants it so. What runs already goes on."""
    if switched.maintenance is not None:
        return switched.why_maintenance
    if account.broker in switched.brokers_off:
        return switched.why_broker_is_off(account.broker)
    if not switched.is_on(Flag.REPEATING):
        return "starting strategies every morning is switched off"
    if account.environment is Environment.LIVE and not switched.is_on(Flag.LIVE_TRADING):
        return "live trading is switched off"
    return None


def _plan(strategy: Strategy) -> Plan:
    return Plan(
        instrument=InstrumentId(strategy.exchange, strategy.symbol),
        product=strategy.product,
        quantity=strategy.quantity,
        buy_time=strategy.buy_time,
        sell_time=strategy.sell_time,
        stop_loss=strategy.stop_loss,
        repeat=strategy.repeat,
        max_lateness_seconds=strategy.max_lateness_seconds,
    )
