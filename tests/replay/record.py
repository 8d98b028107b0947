"""Records the histories anew: `python -m tests.replay.record`, all of them, or those that are named.

Run it by hand when a workflow changes on purpose and no run of the old kind is open any more; until then the change belongs
behind `workflow.patched`, and the histories stay. Starts a Temporal server of its own.
"""

import asyncio
import sys
from typing import Any

from rich.console import Console
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter

from local.namespace import ensure_namespace
from tests.replay.days import DAYS, RecordedDay
from tests.replay.histories import IDENTITY, keep
from tests.stack import address_of, close_stack, open_stack
from tests.workflows.day import open_day, settings_for
from workflows.names import SEARCH_ATTRIBUTES

_NAMESPACE = "default"


async def record(address: str, days: list[RecordedDay]) -> None:
    await ensure_namespace(address, _NAMESPACE, search_attributes=SEARCH_ATTRIBUTES)
    client = await Client.connect(address, namespace=_NAMESPACE, identity=IDENTITY, data_converter=pydantic_data_converter)
    for recorded in days:
        keep(recorded.__name__, await history_of(client, recorded))
        Console().print(recorded.__name__)


async def history_of(client: Client, recorded: RecordedDay) -> WorkflowHistory:
    """Live that day to its end."""
    async with open_day(client, settings_for(f"recording-{recorded.__name__}")) as day:
        handle: WorkflowHandle[Any, Any] = await recorded(day)
        await day.time.forward_to_the_end(handle)
        return await handle.fetch_history()


def main(names: list[str]) -> None:
    days = [recorded for recorded in DAYS if not names or recorded.__name__ in names]
    open_stack()
    try:
        asyncio.run(record(address_of("temporal"), days))
    finally:
        close_stack()


if __name__ == "__main__":
    main(sys.argv[1:])
