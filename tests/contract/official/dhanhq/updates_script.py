"""Runs in the official client's environment: one connection to the order updates, with only the address changed.

Arguments: one JSON object with `root` (ws), `client_id`, `access_token` and `orders`, how many updates to wait for. Prints a JSON
list as its last line; the client prints lines of its own.
"""

import contextlib
import json
import sys
from typing import Any

from dhanhq import DhanContext, OrderUpdate


class _Enough(BaseException):
    """There are as many updates as were asked for."""


def main() -> None:
    """Collect updates until there are enough, or the server closes."""
    given = json.loads(sys.argv[1])
    client = OrderUpdate(DhanContext(given["client_id"], given["access_token"]))
    client.order_feed_wss = given["root"]
    updates: list[dict[str, Any]] = []

    def on_update(message: dict[str, Any]) -> None:
        updates.append(message)
        if len(updates) >= given["orders"]:
            raise _Enough

    client.on_update = on_update
    with contextlib.suppress(_Enough):
        client.connect_to_dhan_websocket_sync()
    sys.stdout.write("\n" + json.dumps(updates) + "\n")


main()
