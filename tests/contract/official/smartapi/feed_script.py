"""Runs in the official client's environment: one connection to the market feed, with only its address changed.

Arguments: one JSON object with `url`, `token`, `api_key`, `client_code`, `feed_token`, `mode`, `tokens` (its own list of them)
and `ticks` (how many to wait for). Prints a line `connected` when subscribed, then one JSON object.
"""

import json
import os
import sys
import threading
from typing import Any

from SmartApi.smartWebSocketV2 import SmartWebSocketV2

GIVEUP_SECONDS = 60


def main() -> None:
    """Collect ticks until there are enough."""
    given = json.loads(sys.argv[1])
    ticks: list[dict[str, Any]] = []

    def finish(**also: Any) -> None:
        sys.stdout.write(json.dumps({"ticks": ticks} | also))
        sys.stdout.flush()
        # The client's own ways of ending would try to connect again first.
        os._exit(0)

    class Feed(SmartWebSocketV2):
        ROOT_URI = given["url"]

        def on_open(self, wsapp: object) -> None:
            self.subscribe("official01", given["mode"], given["tokens"])
            sys.stdout.write("connected\n")
            sys.stdout.flush()

        def on_data(self, wsapp: object, data: dict[str, Any]) -> None:
            ticks.append(data)
            if len(ticks) >= given["ticks"]:
                finish()

        def _on_error(self, wsapp: object, error: Exception) -> None:
            finish(error=str(error))

    threading.Timer(GIVEUP_SECONDS, finish).start()
    Feed(given["token"], given["api_key"], given["client_code"], given["feed_token"]).connect()


main()
