"""One simulation or backtest: reckon, show it at the chosen speed, say how it ended. It places no order and knows no account."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.messages import EndPlaying, PlaygroundInput, PlaygroundProgress, Reckoned
    from activities.signatures import PlaygroundActivities
    from workflows import names, options

FAILED = "it could not be reckoned; the platform's operator finds the reason under the id of this result"


@workflow.defn(name=names.PLAYGROUND_WORKFLOW)
class PlaygroundWorkflow:
    @workflow.init
    def __init__(self, wanted: PlaygroundInput) -> None:
        self._job_id = wanted.job_id
        self._stage = "waiting"
        self._shown_since: datetime | None = None
        self._play_seconds = 0.0

    @workflow.run
    async def run(self, wanted: PlaygroundInput) -> None:
        try:
            reckoned = await self._reckon(wanted)
            if not reckoned.is_over:
                await self._show(reckoned)
        except ActivityError as error:
            # Cancelled while it was reckoned, which arrives wrapped; or given up after its last attempt.
            cancelled = is_cancelled_exception(error)
            await self._end(EndPlaying(self._job_id, is_cancelled=cancelled, failure="" if cancelled else FAILED))
        except asyncio.CancelledError:
            await self._end(EndPlaying(self._job_id, is_cancelled=True))
        else:
            await self._end(EndPlaying(self._job_id))

    async def _reckon(self, wanted: PlaygroundInput) -> Reckoned:
        self._stage = "reckoning"
        workflow.set_current_details("Runs the plans over the prices")
        return await workflow.execute_activity_method(
            PlaygroundActivities.reckon,
            wanted,
            **options.RECKONING,
            summary="Run the plans over the prices",
        )

    async def _show(self, reckoned: Reckoned) -> None:
        if reckoned.play_seconds <= 0:
            return
        self._stage, self._shown_since, self._play_seconds = "showing", workflow.now(), reckoned.play_seconds
        workflow.set_current_details("Shows the day at the chosen speed")
        await workflow.sleep(timedelta(seconds=reckoned.play_seconds), summary="Show the day at the chosen speed")

    async def _end(self, end: EndPlaying) -> None:
        """Also after a cancellation: whoever asks must be told how it ended."""
        self._stage = "over"
        await workflow.execute_activity_method(
            PlaygroundActivities.end_playing, end, **options.ROWS, summary="Write down how it ended"
        )

    @workflow.query(name=names.PROGRESS)
    def progress(self) -> PlaygroundProgress:
        return PlaygroundProgress(self._stage, self._shown_since, self._play_seconds)
