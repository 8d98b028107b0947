"""Fyers' order socket: JSON text, one wrapper key around each message, `ping` from us and `pong` from the server."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection

from brokers.exact_json import encode_json, parse_json
from brokers.fyers.orders import read_socket_order
from brokers.sockets import AttentiveConnection, receive, receive_unless_silent, send
from trading.orders import BrokerOrder
from trading.ports.broker import BrokerUnavailable, Leisure, UnreadableAnswer, at_once

SUBSCRIBE = encode_json({"T": "SUB_ORD", "SLIST": ["orders"], "SUB_T": 1}).decode()
PING, PONG = "ping", "pong"
# The broker's own client asks every ten seconds; a silence has to be noticed sooner.
PING_SECONDS = 3.0
HEARD_SECONDS = 2.0


async def subscribe(connection: ClientConnection) -> list[str]:
    """Ask for orders, and wait a moment until the server says it heard; what it told meanwhile. Raises BrokerUnavailable."""
    told: list[str] = []
    await send(connection, SUBSCRIBE)
    # A server that never says so may tell of orders all the same.
    try:
        async with asyncio.timeout(HEARD_SECONDS):
            while not told or _names_orders(told[-1]):
                told.append(_text(await receive(connection)))
    except TimeoutError:
        pass
    return told


def _names_orders(message: str) -> bool:
    return '"orders"' in message


def _text(message: bytes | str) -> str:
    return message.decode(errors="replace") if isinstance(message, bytes) else message


async def order_updates(
    connection: AttentiveConnection, *, silence_seconds: float, leisure: Leisure = at_once, told: Sequence[str] = ()
) -> AsyncIterator[BrokerOrder]:
    """Orders of this account as they change, first those of `told`. Raises BrokerUnavailable when not even a pong was heard for
    so long."""
    for message in told:
        if (order := read_update(message)) is not None:
            yield order
    while True:
        received = await receive_unless_silent(connection, silence_seconds=silence_seconds, what="the order updates")
        await leisure()
        message = _text(received)
        if (order := read_update(message)) is not None:
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
    """Ends with the connection; whoever reads from it meets the loss."""
    while True:
        await send(connection, PING)
        await asyncio.sleep(PING_SECONDS)
