"""The run's own row: its beginning, its changes, its end."""

from decimal import Decimal

from temporalio import activity

from activities.messages import Begin, Begun, ChangeRun, Finish, RunChanged, StrategyResult
from activities.signatures import RunActivities
from execution.alarms import Alarm, clear_alarm, raise_alarm
from execution.commands import PlanChangeRefused, PlanChangeTaken, take_plan_change
from execution.floor import Floor
from execution.hand_over import alarm_key
from execution.rows import lock_run
from execution.timeline import rupees, tell
from execution.tools import Tools
from execution.views import holding_of, is_trailing, run_view
from storage.models import Order, Run, Strategy
from trading.endings import EntryFacts, RunFacts, how_it_ended
from trading.next_step import is_settled
from trading.orders import LIVE_STATES, Leg, OrderState
from trading.runs import STRATEGY_STATE_OF_END, EndReason, RunState

# What the user wanted did not happen, and nobody decided that it should not.
_DID_NOT_TRADE = (EndReason.ENTRY_FAILED, EndReason.MISSED)


class NotSettled(Exception):
    """Something is still alive or in doubt: the run cannot end yet. Temporal asks again."""


class RowRunActivities(RunActivities):
    def __init__(self, *, tools: Tools, floor: Floor) -> None:
        self._tools = tools
        self._floor = floor

    @activity.defn
    async def begin(self, request: Begin) -> Begun:
        async with self._tools.database.transaction() as session:
            locked = await lock_run(session, request.run_id)
            if locked is None:
                raise LookupError(f"run {request.run_id} is gone")
            run, orders = locked
            if run.started_at is None and run.state is not RunState.ENDED:
                run.started_at = self._tools.clock.now()
            return Begun(
                state=run.state,
                entry_exists=any(order.leg is Leg.ENTRY for order in orders),
                stop_requested=run.stop_requested_at is not None,
                exit_reason=run.exit_reason,
                sell_at=run.sell_at,
                stop_loss=run.stop_loss,
                stop_version=run.stop_version,
            )

    @activity.defn
    async def change(self, request: ChangeRun) -> RunChanged:
        async with self._tools.database.transaction() as session:
            locked = await lock_run(session, request.run_id)
            if locked is None:
                raise LookupError(f"run {request.run_id} is gone")
            run, _ = locked
            taken = await take_plan_change(
                session,
                run_id=run.id,
                user_id=run.user_id,
                sell_at=request.sell_at if request.sell_at != run.sell_at else None,
                stop_loss=None if _stands_already(run, request.stop_loss) else request.stop_loss,
                now=request.at,
            )
            refusal = taken if isinstance(taken, PlanChangeRefused) else None
            changed = RunChanged(
                run.sell_at,
                run.stop_loss,
                run.stop_version,
                refusal.code.value if refusal else "",
                refusal.message if refusal else "",
            )
            account_id = run.account_id
        if isinstance(taken, PlanChangeTaken) and taken.armed is not None:
            await self._tools.notices.armed([taken.armed])
        self._floor.account_changed(account_id)
        await self._tools.notices.account(account_id)
        return changed

    @activity.defn
    async def finish(self, request: Finish) -> StrategyResult:
        async with self._tools.database.transaction() as session:
            locked = await lock_run(session, request.run_id)
            if locked is None:
                raise LookupError(f"run {request.run_id} is gone")
            run, orders = locked
            if run.state is not RunState.ENDED:
                self._end(run, orders, request)
                strategy = await session.get_one(Strategy, run.strategy_id)
                assert run.end_reason is not None  # noqa: S101 (set by _end)
                strategy.state = STRATEGY_STATE_OF_END[run.end_reason]
                if run.end_reason is not EndReason.HANDED_OVER:
                    await clear_alarm(session, alarm_key(run.id))
                tell(session, run, "ended", _last_words(run), data={"end_reason": run.end_reason.value})
                if run.end_reason in _DID_NOT_TRADE:
                    await raise_alarm(session, _failure(run))
                self._tools.metrics.count("runs_ended", reason=run.end_reason.value)
            result = _result(run)
        self._floor.mark(request.run_id)
        return result

    def _end(self, run: Run, orders: list[Order], request: Finish) -> None:
        if any(order.state in LIVE_STATES for order in orders):
            raise NotSettled("an order of this run is still alive or in doubt")
        if orders and not is_settled(run_view(run, orders), self._tools.clock.now()):
            raise NotSettled("something is still to be done for this run")
        reason, detail = how_it_ended(_facts(run, orders))
        if not orders and request.reason is not None:
            reason, detail = request.reason, request.detail
        run.state, run.end_reason, run.end_detail = RunState.ENDED, reason, detail
        run.ended_at = self._tools.clock.now()
        run.position = holding_of(run).position(run.exit_reason)


def _stands_already(run: Run, stop_loss: Decimal | None) -> bool:
    """The rows are changed before their workflow hears of it, and a stop that follows the price may have gone on since."""
    return stop_loss == run.stop_loss or (stop_loss is not None and is_trailing(run) and stop_loss < run.stop_loss)


def _failure(run: Run) -> Alarm:
    message = f"{run.symbol} was not bought: {run.end_detail}"
    key = f"run-failed:{run.id}"
    return Alarm(key, "strategy_failed", message, user_id=run.user_id, account_id=run.account_id, run_id=run.id)


def _facts(run: Run, orders: list[Order]) -> RunFacts:
    entries = sorted((order for order in orders if order.leg is Leg.ENTRY), key=lambda order: order.attempt)
    facts = [EntryFacts(order.state, order.superseded_for, order.message) for order in entries]
    return RunFacts(
        holding_of(run),
        facts,
        run.exit_reason,
        leave_open=run.leave_open,
        stop_requested=run.stop_requested_at is not None,
        handed_over=run.handed_over_at is not None,
        never_read=any(order.state is OrderState.HANDED_OVER for order in orders),
    )


def _last_words(run: Run) -> str:
    holding = holding_of(run)
    if run.bought and holding.is_flat and run.end_reason is not EndReason.HANDED_OVER:
        return f"Flat. Profit {rupees(run.realised_pnl)}" if run.realised_pnl >= 0 else f"Flat. Loss {rupees(-run.realised_pnl)}"
    reason = (run.end_reason or EndReason.HANDED_OVER).value.replace("_", " ")
    return f"Ended: {run.end_detail or reason}"


def _result(run: Run) -> StrategyResult:
    return StrategyResult(
        end_reason=run.end_reason or EndReason.HANDED_OVER,
        detail=run.end_detail,
        position=run.position,
        bought=run.bought,
        average_buy_price=run.buy_value / run.bought if run.bought else None,
        sold=run.sold,
        average_sell_price=run.sell_value / run.sold if run.sold else None,
        realised_pnl=run.realised_pnl,
        entry_late_ms=run.entry_late_ms,
        exit_late_ms=run.exit_late_ms,
    )
