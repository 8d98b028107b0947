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
from tests.replay.rounds import ROUNDS, RecordedRound
from tests.stack import address_of, close_stack, open_stack
from tests.workflows.day import open_day, settings_for
from workflows.names import SEARCH_ATTRIBUTES

_NAMESPACE = "default"


async def record(address: str, names: list[str]) -> None:
    """Those that are named; all of them when none are."""
    await ensure_namespace(address, _NAMESPACE, search_attributes=SEARCH_ATTRIBUTES)
    client = await Client.connect(address, namespace=_NAMESPACE, identity=IDENTITY, data_converter=pydantic_data_converter)
    recorded = [*((day.__name__, history_of(client, day)) for day in DAYS), *((one.__name__, _of(client, one)) for one in ROUNDS)]
    for name, living in recorded:
        if names and name not in names:
            living.close()
            continue
        keep(name, await living)
        Console().print(name)


async def history_of(client: Client, recorded: RecordedDay) -> WorkflowHistory:
    """Live that day to its end."""
    async with open_day(client, settings_for(f"recording-{recorded.__name__}")) as day:
        handle: WorkflowHandle[Any, Any] = await recorded(day)
        await day.time.forward_to_the_end(handle)
        return await handle.fetch_history()


async def _of(client: Client, recorded: RecordedRound) -> WorkflowHistory:
    return await (await recorded(client, settings_for(f"recording-{recorded.__name__}"))).fetch_history()


def main(names: list[str]) -> None:
    open_stack()
    try:
        asyncio.run(record(address_of("temporal"), names))
    finally:
        close_stack()


if __name__ == "__main__":
    main(sys.argv[1:])
