"""Runs in the official client's environment: one connection to the order updates, with only its address changed.

Arguments: one JSON object with `url`, `token`, `api_key`, `client_code`, `feed_token` and `updates` (how many to wait for, the
greeting included). Prints a line `connected`, then one JSON object.
"""

import json
import os
import sys
import threading
from typing import Any

from SmartApi.smartWebSocketOrderUpdate import SmartWebSocketOrderUpdate

GIVEUP_SECONDS = 60


def main() -> None:
    """Collect updates until there are enough."""
    given = json.loads(sys.argv[1])
    updates: list[Any] = []

    def finish(**also: Any) -> None:
        sys.stdout.write(json.dumps({"updates": updates} | also))
        sys.stdout.flush()
        os._exit(0)

    class Updates(SmartWebSocketOrderUpdate):
        WEBSOCKET_URI = given["url"]

        def on_message(self, wsapp: object, message: str) -> None:
            updates.append(json.loads(message))
            if len(updates) == 1:
                sys.stdout.write("connected\n")
                sys.stdout.flush()
            if len(updates) >= given["updates"]:
                finish()

        def on_error(self, wsapp: object, error: Exception) -> None:
            finish(error=str(error))

    threading.Timer(GIVEUP_SECONDS, finish).start()
    Updates(given["token"], given["api_key"], given["client_code"], given["feed_token"]).connect()


main()
