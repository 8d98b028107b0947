"""SmartAPI's two sockets live on a text `ping` from us, answered with `pong`."""

import asyncio

from brokers.sockets import AttentiveConnection, send

# Asked for every 30 s at least. Its answer is all that is heard of a quiet connection, so it is sent before silence alarms.
HEARTBEAT_SECONDS = 2.0
PING, PONG = "ping", "pong"

# The event loop alone would not keep them from being collected.
_beating: set["asyncio.Task[None]"] = set()


def keep_alive(connection: AttentiveConnection) -> AttentiveConnection:
    """Heartbeats from now on until the connection ends."""
    task = asyncio.create_task(_beat(connection))
    _beating.add(task)
    task.add_done_callback(_ended)
    return connection


async def _beat(connection: AttentiveConnection) -> None:
    closed = asyncio.create_task(connection.wait_closed())
    while not (await asyncio.wait([closed], timeout=HEARTBEAT_SECONDS))[0]:
        await send(connection, PING)


def _ended(task: "asyncio.Task[None]") -> None:
    """A loss is met by whoever reads from the connection: here it is only taken note of."""
    _beating.discard(task)
    if not task.cancelled():
        task.exception()
