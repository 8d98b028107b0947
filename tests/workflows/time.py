"""The clock of a workflow under test. The only module that knows the SDK's experimental time skipping.

Each workflow has a clock of its own. It stands in real time until it is moved, and never jumps while a workflow task or an
activity is under way; so a test moves it only to moments before which nothing is held.
"""

from datetime import datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

from runtime.temporal import is_gone

LONGER_THAN_ANY_RUN = timedelta(days=2)


class WorkflowTime:
    """Workflows started by `skipping_client` jump over every idle stretch; others live in real time until they are moved."""

    def __init__(self, client: Client) -> None:
        self._skipper = TimeSkipper(client)

    @property
    def skipping_client(self) -> Client:
        return self._skipper.client

    async def now(self, handle: WorkflowHandle[Any, Any]) -> datetime:
        """The workflow's own time, aware UTC."""
        return await self._skipper.get_current_time(handle)

    async def forward(self, handle: WorkflowHandle[Any, Any], span: timedelta) -> None:
        """Let the workflow live through `span`; then its clock goes on in real time. Fails when the workflow ends before."""
        assert await self._skipper.fast_forward(handle, span), "the workflow ended before the moment the test asked for"

    async def forward_to(self, handle: WorkflowHandle[Any, Any], instant: datetime) -> None:
        """Up to `instant` and a moment beyond: the clock goes on in real time meanwhile."""
        span = instant - await self.now(handle)
        if span > timedelta(0):
            await self.forward(handle, span)

    async def forward_to_the_end(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Jump over every idle stretch until the workflow has ended; it may have ended already."""
        try:
            # Not without a span: that reads the history while it grows, which the server sometimes refuses.
            lives_on = await self._skipper.fast_forward(handle, LONGER_THAN_ANY_RUN)
        except RPCError as error:
            if not is_gone(error):
                raise
        else:
            assert not lives_on, f"the workflow has not ended after {LONGER_THAN_ANY_RUN}"
