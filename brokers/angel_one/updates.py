"""The order updates of one account: hints, as they come."""

from collections.abc import AsyncIterator

from brokers.angel_one.heartbeat import PONG
from brokers.angel_one.orders import read_order
from brokers.exact_json import parse_json
from brokers.fields import row
from brokers.sockets import AttentiveConnection, receive_unless_silent
from trading.orders import BrokerOrder
from trading.ports.broker import Leisure, UnreadableAnswer, at_once

# The first frame, without an order.
_CONNECTED = "AB00"


async def order_updates(
    connection: AttentiveConnection, *, silence_seconds: float, leisure: Leisure = at_once
) -> AsyncIterator[BrokerOrder]:
    """Orders of this account as they change. Raises BrokerUnavailable when not even a heartbeat was answered for so long."""
    while True:
        message = await receive_unless_silent(connection, silence_seconds=silence_seconds, what="the order updates")
        await leisure()
        if message != PONG and (order := read_update(message)) is not None:
            yield order


def read_update(message: bytes | str) -> BrokerOrder | None:
    """The order in a frame, None in the one that only says that we are connected. Raises UnreadableAnswer for anything else.

    What the frame calls itself (`order-status`) is ignored where there is an order: the documented sample contradicts it.
    """
    try:
        source = row(parse_json(message), "order update")
    except ValueError:
        raise UnreadableAnswer("an order update that is not JSON") from None
    data = source.get("orderData")
    if isinstance(data, dict) and any(data.get(key) not in (None, "") for key in ("orderid", "orderstatus", "status")):
        return read_order(data)
    if source.get("order-status") == _CONNECTED:
        return None
    raise UnreadableAnswer("an order update without an order")
