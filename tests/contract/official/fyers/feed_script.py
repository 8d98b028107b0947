"""Runs in the official client's environment: one market data connection, with only the addresses changed.

Arguments: one JSON object with `ws`, `data`, `master`, `token` (app id and token), `symbols`, `kind` (SymbolUpdate or
DepthUpdate), `lite`, and `until` ({symbol: last price to wait for}; for depth: symbols whose second message is waited for).
Prints a line `connected` once everything asked for has had its first message, then one JSON object.
"""

import json
import os
import sys
import threading
from typing import Any

from fyers_apiv3.FyersWebsocket import data_ws, defines

GIVEUP_SECONDS = 45


def main() -> None:
    """Collect messages until there are enough."""
    given = json.loads(sys.argv[1])
    defines.INDEX_HSM_MAPPING_API = given["master"] + "/index_hsm_mapping.json"
    conversion = data_ws.SymbolConversion.__init__

    def at_the_stand_in(self: Any, *arguments: Any, **named: Any) -> None:
        conversion(self, *arguments, **named)
        self.symbols_token_api = given["data"] + "/symbol-token"

    data_ws.SymbolConversion.__init__ = at_the_stand_in
    messages: list[dict[str, Any]] = []
    errors: list[Any] = []
    ready, done = threading.Event(), threading.Event()
    wanted = set(given["symbols"]) - {"NSE:NOPE-EQ"}
    until: dict[str, Any] = given["until"]

    def on_message(message: dict[str, Any]) -> None:
        messages.append(dict(message))
        of_symbols = [one for one in messages if "symbol" in one]
        if {one["symbol"] for one in of_symbols} >= wanted and not ready.is_set():
            ready.set()
            sys.stdout.write("connected\n")
            sys.stdout.flush()
        if given["kind"] == "DepthUpdate":
            if all(sum(one["symbol"] == symbol for one in of_symbols) > 1 for symbol in until):
                done.set()
        elif all(any(one["symbol"] == symbol and one["ltp"] == price for one in of_symbols) for symbol, price in until.items()):
            done.set()

    socket = data_ws.FyersDataSocket(
        access_token=given["token"], log_path=".", litemode=given["lite"], reconnect=False, on_message=on_message,
        on_error=errors.append, on_connect=lambda: socket.subscribe(symbols=given["symbols"], data_type=given["kind"]),
    )  # fmt: skip
    socket._FyersDataSocket__url = given["ws"]
    socket.connect()
    done.wait(GIVEUP_SECONDS)
    sys.stdout.write(json.dumps({"messages": messages, "errors": errors}, default=str))
    sys.stdout.flush()
    # The client's threads have no end of their own.
    os._exit(0)


main()
