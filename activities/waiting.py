"""Waiting inside an activity, with a heartbeat, so that a dead worker is noticed and its run moves on."""

from typing import TypeVar

from temporalio import activity

from execution.waiting import Check, RunWatch

T = TypeVar("T")

# Each is a write of Temporal's: most waits end before their first.
HEARTBEAT_SECONDS = 6.0


async def wait_with_heartbeat(watch: RunWatch, run_id: str, check: Check[T]) -> T:
    """Until `check` has an answer, however long it takes; the activity's own timeout bounds it."""
    while True:
        answer = await watch.until(run_id, check, timeout=HEARTBEAT_SECONDS)
        if answer is not None:
            return answer
        activity.heartbeat()


async def wait_a_while(watch: RunWatch, run_id: str, check: Check[T], *, seconds: float) -> T | None:
    """As above, for at most `seconds`."""
    waited = 0.0
    while waited < seconds:
        answer = await watch.until(run_id, check, timeout=HEARTBEAT_SECONDS)
        if answer is not None:
            return answer
        waited += HEARTBEAT_SECONDS
        activity.heartbeat()
    return None
