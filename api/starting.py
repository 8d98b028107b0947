"""Starting a strategy: the row first, then its workflow; if the workflow service is away, the row is ended again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import WorkflowHandle
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.messages import StrategyInput
from api import notify
from api.deps import Caller
from api.errors import ApiError, ErrorCode
from api.plans import hot_price, listed_instrument
from api.services import Services
from execution.risk import over_limit
from execution.rows import load_kill_switches
from execution.starting import AlreadyRunning, abandon_run, create_run, strategy_input
from execution.timeline import rupees
from storage.models import BrokerAccount, Run, Strategy
from storage.repositories import accounts, audit, strategies, switches
from storage.repositories.switches import Flag
from trading.accounts import Environment
from trading.instruments import Instrument, InstrumentId
from trading.plan import Plan
from trading.ports.broker import Broker, BrokerUnavailable
from trading.runs import RunState
from trading.schedule import NotNow, RunWindow, next_window, window_now
from trading.sessions import INDIA
from workflows.names import STRATEGY_WORKFLOW, strategy_workflow_id

log = structlog.get_logger()

# What a broker account's `health` says once its token was found dead.
SESSION_EXPIRED = "session_expired"
START_TIMEOUT = timedelta(seconds=5)
# A workflow whose run has just ended in our rows needs a moment to close.
CLOSING_TRIES = 10
CLOSING_PAUSE_SECONDS = 0.1
# A quote that was refused is asked for again a little more than a second later.
QUOTE_TRIES = 3
QUOTE_PAUSE_SECONDS = 1.1


@dataclass(frozen=True, slots=True)
class StartedRun:
    run: Run
    account: BrokerAccount
    plan: Plan


async def start(services: Services, caller: Caller, *, strategy_id: str, now_wanted: bool) -> StartedRun:
    """Raises ApiError for every reason why the strategy cannot be started; then nothing has begun."""
    async with services.database.transaction() as session:
        strategy, account = await _what_starts(services, session, caller, strategy_id)
        await _check_switches(session, account, now_wanted=now_wanted)
    if strategy.backup_stop and not services.accounts.limits(account.broker).resting_stops:
        raise ApiError(ErrorCode.BACKUP_STOP_NOT_SUPPORTED, f"no backup stop can rest at {account.broker.value}")
    plan = strategies.plan_of(strategy)
    instrument = listed_instrument(services, plan.instrument)
    if now_wanted:
        window = _now(services, plan, instrument)
        price: Decimal | None = await _check_price(services, plan, account)
    else:
        window = next_window(plan, instrument=instrument, calendar=services.calendar, now=services.clock.now())
        hot = await hot_price(services, plan.instrument)
        price = hot.price if hot else None
    run = await _create(services, caller, strategy, account, window=window, starts_now=now_wanted, price=price)
    await _start_workflow(services, run)
    await notify.strategy_changed(services, strategy_id=strategy_id, user_id=caller.user_id, account_id=account.id)
    return StartedRun(run, account, plan)


async def _what_starts(
    services: Services, session: AsyncSession, caller: Caller, strategy_id: str
) -> tuple[Strategy, BrokerAccount]:
    strategy = await strategies.find(session, strategy_id=strategy_id, user_id=caller.user_id)
    if strategy is None:
        raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
    if await strategies.open_run(session, strategy_id=strategy_id, user_id=caller.user_id) is not None:
        raise ApiError(ErrorCode.ALREADY_RUNNING)
    return strategy, await usable_account(services, session, caller, account_id=strategy.account_id)


async def _check_switches(session: AsyncSession, account: BrokerAccount, *, now_wanted: bool) -> None:
    """What an administrator has switched off. Raises ApiError MAINTENANCE, BROKER_SWITCHED_OFF, FEATURE_SWITCHED_OFF."""
    found = await switches.load(session)
    if found.maintenance is not None:
        raise ApiError(ErrorCode.MAINTENANCE, found.why_maintenance)
    if account.broker in found.brokers_off:
        raise ApiError(ErrorCode.BROKER_SWITCHED_OFF, found.why_broker_is_off(account.broker))
    if now_wanted and not found.is_on(Flag.START_NOW):
        raise ApiError(ErrorCode.FEATURE_SWITCHED_OFF, "starting at once is switched off; start at the next buy time")
    if account.environment is Environment.LIVE and not found.is_on(Flag.LIVE_TRADING):
        raise ApiError(ErrorCode.FEATURE_SWITCHED_OFF, "live trading is switched off")


async def usable_account(services: Services, session: AsyncSession, caller: Caller, *, account_id: str | None) -> BrokerAccount:
    """The account named, or the user's only one that is logged in. Raises BROKER_NOT_CONNECTED, BROKER_CHOICE_NEEDED."""
    if account_id is not None:
        account = await accounts.find(session, account_id=account_id, user_id=caller.user_id)
        candidates = [account] if account else []
    else:
        candidates = list(await accounts.list_of(session, user_id=caller.user_id))
    alive = [account for account in candidates if is_logged_in(services, account)]
    if not alive:
        raise ApiError(ErrorCode.BROKER_NOT_CONNECTED)
    if len(alive) > 1:
        raise ApiError(ErrorCode.BROKER_CHOICE_NEEDED)
    return alive[0]


def is_logged_in(services: Services, account: BrokerAccount) -> bool:
    """Whether its token should still be alive: stored, not past its end, and not found dead by whoever used it last."""
    if account.sealed_access_token is None or account.token_expires_at is None or account.health == SESSION_EXPIRED:
        return False
    return account.token_expires_at > services.clock.now()


def _now(services: Services, plan: Plan, instrument: Instrument) -> RunWindow:
    try:
        return window_now(plan, instrument=instrument, calendar=services.calendar, now=services.clock.now())
    except NotNow as error:
        raise ApiError(ErrorCode.MARKET_CLOSED, f"cannot start now: {error}") from error


async def _check_price(services: Services, plan: Plan, account: BrokerAccount) -> Decimal:
    price = await last_price(services, plan, account)
    if price <= plan.stop_loss:
        message = f"the last price {rupees(price)} is at or below the stop-loss {rupees(plan.stop_loss)}"
        raise ApiError(ErrorCode.PRICE_AT_OR_BELOW_STOP, message)
    if plan.target_price is not None and price >= plan.target_price:
        message = f"the last price {rupees(price)} is at or above the target {rupees(plan.target_price)}"
        raise ApiError(ErrorCode.PRICE_AT_OR_ABOVE_TARGET, message)
    return price


async def last_price(services: Services, plan: Plan, account: BrokerAccount) -> Decimal:
    """The hot price, else the broker's. Raises ApiError PRICE_UNAVAILABLE, BrokerError: a price is never guessed."""
    hot = await hot_price(services, plan.instrument)
    if hot is not None:
        return hot.price
    quoted = await _quote(services.accounts.broker_of(account), plan.instrument)
    if plan.instrument not in quoted:
        raise ApiError(ErrorCode.PRICE_UNAVAILABLE, f"the broker has no price for {plan.instrument}")
    return quoted[plan.instrument]


async def _quote(broker: Broker, instrument: InstrumentId) -> Mapping[InstrumentId, Decimal]:
    """Brokers answer about one quote a second: a second start in the same second waits for its turn instead of failing."""
    for _ in range(QUOTE_TRIES - 1):
        try:
            return await broker.ltp([instrument])
        except BrokerUnavailable:
            await asyncio.sleep(QUOTE_PAUSE_SECONDS)
    return await broker.ltp([instrument])


async def _create(
    services: Services,
    caller: Caller,
    seen: Strategy,
    account: BrokerAccount,
    *,
    window: RunWindow,
    starts_now: bool,
    price: Decimal | None,
) -> Run:
    """Under the strategy's lock: what was checked must still be what is stored."""
    async with services.database.transaction() as session:
        strategy = await strategies.find_for_update(session, strategy_id=seen.id, user_id=caller.user_id)
        if strategy is None:
            raise ApiError(ErrorCode.STRATEGY_NOT_FOUND)
        if strategy.version != seen.version:
            raise ApiError(ErrorCode.STRATEGY_CHANGED)
        locked = await accounts.find_for_update(session, account_id=account.id, user_id=caller.user_id)
        if locked is None:
            raise ApiError(ErrorCode.BROKER_NOT_CONNECTED)
        await _check_switches(session, locked, now_wanted=starts_now)
        workflow_id = strategy_workflow_id(strategy.id, window.trading_day)
        try:
            run = await create_run(
                session,
                strategy=strategy,
                account=locked,
                window=window,
                starts_now=starts_now,
                workflow_id=workflow_id,
                started_by=caller.user_id,
            )
        except AlreadyRunning as error:
            raise ApiError(ErrorCode.ALREADY_RUNNING) from error
        if (await load_kill_switches(session)).lock(run):
            raise ApiError(ErrorCode.KILL_SWITCH_ENGAGED)
        await _check_limits(services, session, run, price)
        await audit.append(
            session,
            actor_id=caller.user_id,
            action="strategy.start",
            subject_id=strategy.id,
            now=services.clock.now(),
            run_id=run.id,
            start="now" if starts_now else "scheduled",
        )
        return run


async def _check_limits(services: Services, session: AsyncSession, run: Run, price: Decimal | None) -> None:
    """What is known now; the claim asks all of it again. Without a price the value is judged at the buy time."""
    value = None if price is None else price * run.quantity
    defaults = services.settings.default_limits
    refusal = await over_limit(session, run, value=value, now=services.clock.now(), defaults=defaults, buys_now=run.starts_now)
    if refusal is not None:
        raise ApiError(ErrorCode(refusal.code), refusal.message)


async def _start_workflow(services: Services, run: Run) -> None:
    message = strategy_input(run, services.settings.lead)
    for tries_left in reversed(range(CLOSING_TRIES)):
        try:
            async with asyncio.timeout(START_TIMEOUT.total_seconds()):
                await _call_temporal(services, run, message)
            return
        except WorkflowAlreadyStartedError as error:
            if not tries_left:
                await _abandon(services, run, "the workflow of the run before is still closing")
                raise ApiError(ErrorCode.ALREADY_RUNNING, "the run before is still being closed; try again") from error
            await asyncio.sleep(CLOSING_PAUSE_SECONDS)
        except notify.TEMPORAL_AWAY as error:
            log.warning("workflow_not_started", run_id=run.id, error=type(error).__name__)
            if not await _abandon(services, run, "the workflow service did not answer"):
                # The request had arrived after all: the workflow has begun, so the start has succeeded.
                return
            raise ApiError(ErrorCode.TEMPORAL_UNAVAILABLE) from error


async def _call_temporal(services: Services, run: Run, message: StrategyInput) -> WorkflowHandle[object, object]:
    buy_at = run.buy_at.astimezone(INDIA)
    return await services.temporal.start_workflow(
        STRATEGY_WORKFLOW,
        message,
        id=run.workflow_id,
        task_queue=services.settings.task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        search_attributes=_search_attributes(run),
        static_summary=f"{run.symbol} x {run.quantity}, buy {buy_at:%d %b %H:%M:%S}, stop {rupees(run.stop_loss)}",
        memo={"run_id": run.id, "account_id": run.account_id},
        rpc_timeout=START_TIMEOUT,
    )


def _search_attributes(run: Run) -> TypedSearchAttributes:
    values = {
        "StrategyId": run.strategy_id,
        "UserId": run.user_id,
        "Symbol": run.symbol,
        "RunState": run.state.value,
        "TradingDay": run.trading_day.isoformat(),
    }
    return TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in values.items()]
    )


async def _abandon(services: Services, run: Run, detail: str) -> bool:
    """Whether the run is over. False: its workflow had begun after all."""
    async with services.database.transaction() as session:
        await abandon_run(session, run.id, detail=detail, now=services.clock.now())
    async with services.database.transaction() as session:
        stored = await strategies.find_run(session, run_id=run.id, user_id=run.user_id)
    await notify.strategy_changed(services, strategy_id=run.strategy_id, user_id=run.user_id, account_id=run.account_id)
    return stored is None or stored.state is RunState.ENDED
