"""Names that processes agree on: workflows, ids, signals, search attributes. Text only, so anyone may import it."""

from datetime import date

STRATEGY_WORKFLOW = "StrategyWorkflow"
TRADING_DAY_WORKFLOW = "TradingDayWorkflow"
RECONCILE_WORKFLOW = "ReconcileWorkflow"
READINESS_WORKFLOW = "ReadinessWorkflow"
PLAYGROUND_WORKFLOW = "PlaygroundWorkflow"

TARGET_HIT = "target_hit"
STOP_LOSS_HIT = "stop_loss_hit"
STOP_REQUESTED = "stop_requested"
CREDENTIALS_RENEWED = "credentials_renewed"
RUN_SETTLED = "run_settled"
CHANGE_PLAN = "change_plan"
STATUS = "status"
PROGRESS = "progress"

TRADING_DAY_SCHEDULE = "open-the-trading-day"
RECONCILE_SCHEDULE = "reconcile-with-the-brokers"
# When accounts are looked at before the open, Indian time.
READINESS_TIMES = ("08:45", "09:05")


def readiness_schedule(check_time: str) -> str:
    return f"look-at-readiness-{check_time.replace(':', '')}"


# All of kind Keyword; registered when the stack starts.
SEARCH_ATTRIBUTES = ("StrategyId", "UserId", "Symbol", "RunState", "TradingDay")


def strategy_workflow_id(strategy_id: str, trading_day: date) -> str:
    """The id is the lock: one open workflow per strategy and day."""
    return f"strategy-{strategy_id}-{trading_day.isoformat()}"


def playground_workflow_id(job_id: str) -> str:
    return f"playground-{job_id}"
