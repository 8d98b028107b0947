"""SmartAPI's two sockets live on a text `ping` from us, answered with `pong`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brokers.sockets import AttentiveConnection, send

# Asked for every 30 s at least. Its answer is all that is heard of a quiet connection, so it is sent before silence alarms.
HEARTBEAT_SECONDS = 2.0
PING, PONG = "ping", "pong"


@asynccontextmanager
async def kept_alive(connection: AttentiveConnection) -> AsyncIterator[AttentiveConnection]:
    """Sends heartbeats as long as the block lasts, then closes."""
    beating = asyncio.create_task(_beat(connection))
    try:
        yield connection
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        await connection.close()


async def _beat(connection: AttentiveConnection) -> None:
    """Ends with the connection; whoever reads from it meets the loss."""
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        await send(connection, PING)
