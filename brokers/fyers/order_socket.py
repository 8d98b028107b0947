"""Fyers' order socket: JSON text, one wrapper key around each message, `ping` from us and `pong` from the server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection

from brokers.exact_json import encode_json, parse_json
from brokers.fyers.orders import read_socket_order
from brokers.sockets import receive, send
from trading.orders import BrokerOrder
from trading.ports.broker import BrokerUnavailable, UnreadableAnswer

SUBSCRIBE = encode_json({"T": "SUB_ORD", "SLIST": ["orders"], "SUB_T": 1}).decode()
PING, PONG = "ping", "pong"
# The broker's own client asks every ten seconds; a silence has to be noticed sooner.
PING_SECONDS = 3.0


async def subscribe(connection: ClientConnection) -> None:
    """Ask for orders. Raises BrokerUnavailable when the connection is lost."""
    await send(connection, SUBSCRIBE)


async def order_updates(connection: ClientConnection, *, silence_seconds: float) -> AsyncIterator[BrokerOrder]:
    """Orders of this account as they change. Raises BrokerUnavailable when not even a pong was heard for so long."""
    while True:
        try:
            async with asyncio.timeout(silence_seconds):
                message = await receive(connection)
        except TimeoutError:
            raise BrokerUnavailable(f"the order updates fell silent for {silence_seconds:g} s") from None
        text = message.decode(errors="replace") if isinstance(message, bytes) else message
        if (order := read_update(text)) is not None:
            yield order


def read_update(message: str) -> BrokerOrder | None:
    """The order in a message, None for other kinds. Raises BrokerUnavailable for a complaint of the server, UnreadableAnswer for
    anything that is no message of this socket."""
    if message.strip() in (PONG, PING, ""):
        return None
    try:
        value = parse_json(message)
    except ValueError:
        raise UnreadableAnswer("a message that is not JSON") from None
    if not isinstance(value, dict):
        raise UnreadableAnswer("a message that is not an object")
    if value.get("s") == "error":
        raise BrokerUnavailable(f"the order socket complains: {value.get('message')}")
    return read_socket_order(value["orders"]) if "orders" in value else None


@asynccontextmanager
async def kept_alive(connection: ClientConnection) -> AsyncIterator[None]:
    """Ask the server for signs of life while inside."""
    task = asyncio.create_task(_ping(connection))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _ping(connection: ClientConnection) -> None:
    with contextlib.suppress(BrokerUnavailable):
        while True:
            await send(connection, PING)
            await asyncio.sleep(PING_SECONDS)
