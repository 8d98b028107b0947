"""Runs in the official client's environment: every REST call a trader makes, with only the root addresses changed.

Arguments: one JSON object with `api`, `data`, `app_id`, `secret`, `old_app_id`, `old_token`, `code` and `control`.
Prints one JSON object.
"""

import json
import sys
from typing import Any

import requests
from fyers_apiv3 import fyersModel

SYMBOL = "NSE:SBIN-EQ"
FAULTS = [
    {"kind": "token_expired"},
    {"kind": "reject_sync", "endpoint": "profile", "error_type": "-373", "status": 403},
    {"kind": "status_503"},
    {"kind": "status_429"},
    {"kind": "status_500"},
    {"kind": "status_502_html"},
    {"kind": "half_json"},
    {"kind": "ok_with_error_inside"},
    {"kind": "drop_before"},
]


def order(**changes: Any) -> dict[str, Any]:
    """The fields of an order, all of them, as the documentation wants them."""
    fields = {
        "symbol": SYMBOL, "qty": 1, "type": 1, "side": 1, "productType": "INTRADAY", "limitPrice": 820, "stopPrice": 0,
        "validity": "DAY", "disclosedQty": 0, "offlineOrder": False, "stopLoss": 0, "takeProfit": 0,
    }  # fmt: skip
    return fields | changes


def log_in(given: dict[str, str]) -> tuple[Any, dict[str, Any]]:
    """The page's address, a session, and what a used code is worth."""
    session = fyersModel.SessionModel(
        client_id=given["app_id"], secret_key=given["secret"], redirect_uri="https://back.example/", response_type="code",
        grant_type="authorization_code", state="s1",
    )  # fmt: skip
    session.set_token(given["code"])
    opened, again = session.generate_token(), session.generate_token()
    fyers = fyersModel.FyersModel(client_id=given["app_id"], token=opened["access_token"], is_async=False, log_path=".")
    return fyers, {"page": session.generate_authcode(), "opened": opened, "again": again}


def orders(fyers: Any) -> dict[str, Any]:
    """Place, modify, cancel, and every list that shows it."""
    filled = fyers.place_order(order(qty=10, limitPrice=821, orderTag="official1"))
    moved = fyers.place_order(order(side=-1, qty=2, limitPrice=840))
    modified = fyers.modify_order({"id": moved["id"], "type": 1, "limitPrice": 815, "qty": 3})
    gone = fyers.place_order(order(type=4, side=-1, stopPrice=800, limitPrice=799))
    cancelled = fyers.cancel_order({"id": gone["id"]})
    market = fyers.place_order(order(type=2, side=-1, limitPrice=0, qty=4))
    several = fyers.place_basket_orders([order(qty=5, limitPrice=810), order(qty=0), order(symbol="NSE:NOPE-EQ")])
    taken = several["data"][0]["body"]["id"]
    return {
        "filled": filled, "moved": moved, "modified": modified, "gone": gone, "cancelled": cancelled, "market": market,
        "several": several,
        "several_modified": fyers.modify_basket_orders([{"id": taken, "type": 1, "limitPrice": 811, "qty": 5}]),
        "several_cancelled": fyers.cancel_basket_orders([{"id": taken}]),
        "book": fyers.orderbook(),
        "one": fyers.orderbook({"id": filled["id"]}),
        "tagged": fyers.orderbook({"order_tag": "1:official1"}),
        "none_tagged": fyers.orderbook({"order_tag": "1:nobody"}),
        "trades": fyers.tradebook(),
        "converted": fyers.convert_position({
            "symbol": f"{SYMBOL}-INTRADAY", "positionSide": 1, "convertQty": 1, "convertFrom": "INTRADAY", "convertTo": "CNC",
            "overnight": 0,
        }),
        "positions": fyers.positions(),
        "holdings": fyers.holdings(),
        "funds": fyers.funds(),
    }  # fmt: skip


def market(fyers: Any) -> dict[str, Any]:
    """Prices."""
    return {
        "quotes": fyers.quotes({"symbols": f"{SYMBOL},NSE:NIFTY50-INDEX,NSE:M&M-EQ,NSE:NOPE-EQ"}),
        "depth": fyers.depth({"symbol": SYMBOL, "ohlcv_flag": "1"}),
        "status": fyers.market_status(),
    }


def refusals(fyers: Any, given: dict[str, str]) -> dict[str, Any]:
    """What the client makes of each refusal."""
    old = fyersModel.FyersModel(client_id=given["old_app_id"], token=given["old_token"], is_async=False, log_path=".")
    unknown = fyersModel.FyersModel(client_id=given["app_id"], token="a.b.c", is_async=False, log_path=".")
    found = {
        "bad symbol": fyers.place_order(order(symbol="NSE:NOPE-EQ")),
        "bad quantity": fyers.place_order(order(qty=0)),
        "bad price": fyers.place_order(order(limitPrice=820.03)),
        "bad tag": fyers.place_order(order(orderTag="no-hyphens")),
        "numbers as text": fyers.place_order(order(qty="1")),
        "beyond the limit": fyers.place_order(order(limitPrice=5_000)),
        "no money": fyers.place_order(order(qty=30_000, productType="CNC")),
        "no shares": fyers.place_order(order(symbol="NSE:TCS-EQ", side=-1, productType="CNC", limitPrice=3_600)),
        "unknown order": fyers.cancel_order({"id": "1"}),
        "old app": old.place_order(order()),
        "old app reads": old.orderbook(),
        "wrong token": unknown.orderbook(),
    }
    for fault in FAULTS:
        requests.post(given["control"] + "/control/faults", json=fault, timeout=10).raise_for_status()
        # A copy: the client makes every answer of its own from one and the same object.
        found[fault["kind"]] = dict(fyers.get_profile())
    requests.post(given["control"] + "/control/faults", json={"kind": "ip_refused"}, timeout=10).raise_for_status()
    found["ip_refused"] = fyers.place_order(order())
    return found


def main() -> None:
    """Do it all in the order of a trading day."""
    given = json.loads(sys.argv[1])
    fyersModel.Config.API, fyersModel.Config.DATA_API = given["api"], given["data"]
    fyers, session = log_in(given)
    result = {
        "session": session,
        "profile": fyers.get_profile(),
        "market": market(fyers),
        "orders": orders(fyers),
        "refusals": refusals(fyers, given),
        "logout": fyers.logout(),
        "after logout": fyers.get_profile(),
    }
    sys.stdout.write(json.dumps(result, default=str))


main()
