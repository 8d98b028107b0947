"""Runs in the official client's environment: one order socket, with only the address changed.

Arguments: one JSON object with `ws`, `token` (app id and token) and `ends` (how many orders' ends to wait for). Prints a line
`connected` when subscribed, then one JSON object.
"""

import json
import os
import sys
import threading
from typing import Any

from fyers_apiv3.FyersWebsocket import order_ws

GIVEUP_SECONDS = 45
ENDED = (1, 2, 5)


def main() -> None:
    """Collect updates until there are enough."""
    given = json.loads(sys.argv[1])
    found: dict[str, list[Any]] = {"orders": [], "trades": [], "general": [], "errors": []}
    done = threading.Event()

    def on_order(message: dict[str, Any]) -> None:
        found["orders"].append(message["orders"])
        if sum(order["status"] in ENDED for order in found["orders"]) >= given["ends"]:
            done.set()

    def on_general(message: dict[str, Any]) -> None:
        found["general"].append(message)
        sys.stdout.write("connected\n")
        sys.stdout.flush()

    def on_error(message: Any) -> None:
        found["errors"].append(str(message))
        if given["ends"] == 0:
            done.set()

    socket = order_ws.FyersOrderSocket(
        access_token=given["token"], log_path=".", reconnect=False, on_orders=on_order, on_general=on_general, on_error=on_error,
        on_trades=lambda message: found["trades"].append(message["trades"]),
        on_connect=lambda: socket.subscribe(data_type="OnOrders,OnTrades"),
    )  # fmt: skip
    socket._FyersOrderSocket__url = given["ws"]
    socket.connect()
    done.wait(GIVEUP_SECONDS)
    sys.stdout.write(json.dumps(found, default=str))
    sys.stdout.flush()
    # The client's threads have no end of their own.
    os._exit(0)


main()
