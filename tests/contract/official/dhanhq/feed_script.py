"""Runs in the official client's environment: one connection to the market feed, with only the address changed.

Arguments: one JSON object with `root` (ws), `client_id`, `access_token`, `instruments` ([segment, id, mode] each) and `last`, the
price to wait for, as the client writes it. Prints one JSON object as its last line; the client prints lines of its own.
"""

import json
import sys
from typing import Any

from dhanhq import DhanContext, MarketFeed


def main() -> None:
    """Collect messages until every instrument has shown its price, or the server has said goodbye."""
    given = json.loads(sys.argv[1])
    MarketFeed.market_feed_wss = given["root"]
    context = DhanContext(given["client_id"], given["access_token"])
    closed: list[bool] = []
    instruments = [tuple(one) for one in given["instruments"]]
    feed = MarketFeed(context, instruments, "v2", on_close=lambda _: closed.append(True))
    feed.run_forever()
    messages: list[dict[str, Any]] = []
    waiting = {int(security_id) for _, security_id, _ in instruments}
    while waiting and not closed:
        message = feed.get_data()
        if isinstance(message, dict):
            messages.append(message)
            if message.get("LTP") == given["last"]:
                waiting.discard(message["security_id"])
    if not closed:
        feed.close_connection()
    sys.stdout.write("\n" + json.dumps({"messages": messages, "closed": len(closed)}) + "\n")


main()
