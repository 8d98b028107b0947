"""One round of comparing accounts with their brokers. A Temporal Schedule starts one every 30 s; a round that lasts longer is not
overlapped. All it does is read and record, so it may be run twice, or by two at once.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.messages import ReconcileAccounts, ReconcileResult
    from activities.signatures import ReconciliationActivities
    from workflows import names, options

# A round's batches are spread over this time, so that a thousand accounts are no stampede.
SPREAD = timedelta(seconds=20)


@workflow.defn(name=names.RECONCILE_WORKFLOW)
class ReconcileWorkflow:
    @workflow.run
    async def run(self) -> ReconcileResult:
        began, after = workflow.now(), ""
        compared = differences = unread = 0
        while True:
            batch = await workflow.execute_activity_method(
                ReconciliationActivities.reconcile,
                ReconcileAccounts(after, began),
                **options.ROUND,
                summary="Compare the next accounts with their brokers",
            )
            compared, differences = compared + batch.compared, differences + batch.differences
            unread += batch.unread
            workflow.set_current_details(_words(compared, differences, unread, batch.left))
            if not batch.last:
                return ReconcileResult(compared, differences, unread)
            after = batch.last
            size = batch.compared + batch.unread
            pause = pause_before_next(SPREAD - (workflow.now() - began), size=size, left=batch.left)
            await workflow.sleep(pause, summary="Spread the accounts over the round")


def pause_before_next(time_left: timedelta, *, size: int, left: int) -> timedelta:
    """How long to wait, so that the batches still to come are spread evenly over the time that is left."""
    batches = max(1, -(-left // max(1, size)))
    return max(timedelta(milliseconds=1), time_left / batches)


def _words(compared: int, differences: int, unread: int, left: int) -> str:
    if not compared + unread + left:
        return "No account has anything open or in doubt, or the market is closed"
    return f"{compared} accounts compared, {differences} differences, {unread} could not be read, {left} still to come"
