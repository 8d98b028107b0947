"""Runs in the official client's environment: one ticker connection, with only the root address changed.

Arguments: one JSON object with `root` (ws), `api_key`, `access_token`, `modes` ({token: mode}), `ticks` and `orders`
(how many of each to wait for). Prints a line `connected` when subscribed, then one JSON object.
"""

import json
import sys
from typing import Any

from kiteconnect import KiteTicker

GIVEUP_SECONDS = 30


def main() -> None:
    """Collect ticks and order updates until there are enough."""
    given = json.loads(sys.argv[1])
    ticks: list[dict[str, Any]] = []
    orders: list[dict[str, Any]] = []
    result: dict[str, Any] = {"ticks": ticks, "orders": orders, "closed": None}
    ticker = KiteTicker(given["api_key"], given["access_token"], root=given["root"], reconnect=False)

    def finish_if_enough() -> None:
        if len(ticks) >= given["ticks"] and len(orders) >= given["orders"]:
            ticker.stop()

    def on_connect(socket: KiteTicker, response: object) -> None:
        for token, mode in given["modes"].items():
            socket.subscribe([int(token)])
            socket.set_mode(mode, [int(token)])
        sys.stdout.write("connected\n")
        sys.stdout.flush()

    def on_ticks(socket: KiteTicker, found: list[dict[str, Any]]) -> None:
        ticks.extend(found)
        finish_if_enough()

    def on_order_update(socket: KiteTicker, order: dict[str, Any]) -> None:
        orders.append(order)
        finish_if_enough()

    def on_close(socket: KiteTicker, code: int, reason: str) -> None:
        result["closed"] = [code, str(reason)]
        ticker.stop()

    ticker.on_ticks, ticker.on_connect, ticker.on_close = on_ticks, on_connect, on_close
    ticker.on_order_update = on_order_update
    from twisted.internet import reactor

    reactor.callLater(GIVEUP_SECONDS, ticker.stop)
    ticker.connect()
    sys.stdout.write(json.dumps(result, default=str))


main()
