"""Opens the trading day: starts a workflow for each strategy that repeats. One Temporal Schedule runs it every morning.

A page that fails is asked for again; a strategy that was started already refuses a second start. So it may be run twice.
"""

from datetime import date, timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.messages import PrepareRuns, StrategyInput
    from activities.signatures import TradingDayActivities
    from workflows import names, options
    from workflows.strategy import StrategyWorkflow


@workflow.defn(name=names.TRADING_DAY_WORKFLOW)
class TradingDayWorkflow:
    @workflow.run
    async def run(self) -> int:
        """Returns how many strategies were started."""
        today = _indian_date()
        started, after = 0, ""
        while True:
            prepared = await workflow.execute_activity_method(
                TradingDayActivities.prepare_runs,
                PrepareRuns(today, after, workflow.now()),
                **options.ROWS,
                summary=f"Write the runs of {today}",
            )
            for run in prepared.runs:
                started += await self._start(run)
            if not prepared.last:
                return started
            after = prepared.last

    async def _start(self, run: StrategyInput) -> bool:
        try:
            await workflow.start_child_workflow(
                StrategyWorkflow.run,
                run,
                id=names.strategy_workflow_id(run.strategy_id, run.trading_day),
                parent_close_policy=ParentClosePolicy.ABANDON,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=search_attributes(run),
                static_summary=f"{run.quantity} {run.symbol}",
            )
        except WorkflowAlreadyStartedError:
            return False
        return True


def search_attributes(run: StrategyInput) -> TypedSearchAttributes:
    """What operators filter runs by in Temporal's Web UI."""
    values = {
        "StrategyId": run.strategy_id,
        "UserId": run.user_id,
        "Symbol": run.symbol,
        "RunState": "scheduled",
        "TradingDay": run.trading_day.isoformat(),
    }
    return TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in values.items()]
    )


def _indian_date() -> date:
    return (workflow.now() + timedelta(hours=5, minutes=30)).date()
