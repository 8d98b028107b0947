"""Looks before the open whether every account is ready for the day, and has their owners told what to do. Two Temporal Schedules
start it at 08:45 and at 09:05; an account is told once for each, however often this is run.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.messages import AccountsChecked, CheckAccounts
    from activities.signatures import ReadinessActivities
    from workflows import names, options


@workflow.defn(name=names.READINESS_WORKFLOW)
class ReadinessWorkflow:
    @workflow.run
    async def run(self, check_time: str) -> AccountsChecked:
        """`check_time`: which of the morning's looks it is, `HH:MM`."""
        today = (workflow.now() + timedelta(hours=5, minutes=30)).date()
        after, checked, not_ready = "", 0, 0
        while True:
            batch = await workflow.execute_activity_method(
                ReadinessActivities.check_accounts,
                CheckAccounts(today, check_time, after, workflow.now()),
                **options.MORNING,
                summary=f"Look at the next accounts for {today}",
            )
            checked, not_ready = checked + batch.checked, not_ready + batch.not_ready
            workflow.set_current_details(f"{checked} accounts looked at, {not_ready} of them not ready")
            if not batch.last:
                return AccountsChecked(checked, not_ready)
            after = batch.last
