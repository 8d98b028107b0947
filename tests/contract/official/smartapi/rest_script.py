"""Runs in the official client's environment: every REST call a trader makes, with only the root address changed.

Arguments: one JSON object with `root`, `control`, `api_key`, `client_code`, `pin`, `code`. Prints one JSON object.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import requests
from SmartApi import SmartConnect
from SmartApi.smartExceptions import SmartAPIException

ERRORS = [
    {"kind": "token_expired"},
    {"kind": "ip_refused", "endpoint": "profile"},
    {"kind": "reject_sync", "endpoint": "profile", "error_type": "AB1009"},
    {"kind": "ok_with_error_inside"},
    {"kind": "status_500"},
    {"kind": "status_502_html"},
    {"kind": "status_503"},
    {"kind": "status_429"},
    {"kind": "half_json"},
    {"kind": "drop_before"},
]
SBIN = {"exchange": "NSE", "tradingsymbol": "SBIN-EQ", "symboltoken": "3045"}


def outcome(call: Callable[[], Any]) -> dict[str, Any]:
    """How a call ended: its value, or the class of its error."""
    try:
        return {"value": call()}
    except SmartAPIException as error:
        return {"error": type(error).__name__}
    except requests.RequestException as error:
        return {"error": "requests", "message": type(error).__name__}


def order(**changes: Any) -> dict[str, Any]:
    fields = {
        **SBIN, "variety": "NORMAL", "transactiontype": "BUY", "ordertype": "LIMIT", "producttype": "INTRADAY",
        "duration": "DAY", "price": "825.00", "triggerprice": "0", "quantity": "10", "squareoff": "0", "stoploss": "0",
        "ordertag": "official1", "scripconsent": None,
    }  # fmt: skip
    return fields | changes


def session(smart: SmartConnect, given: dict[str, str]) -> dict[str, Any]:
    """Log in and look around."""
    wrong = smart.generateSession(given["client_code"], "0000", given["code"])
    user = smart.generateSession(given["client_code"], given["pin"], given["code"])["data"]
    renewed = smart.generateToken(smart.refresh_token)["data"]
    smart.setRefreshToken(renewed["refreshToken"])
    return {
        "wrong": wrong,
        "user": user,
        "renewed": renewed,
        "feed_token": smart.getfeedToken(),
        "profile": smart.getProfile(smart.refresh_token),
        "funds": smart.rmsLimit(),
    }


def market(smart: SmartConnect) -> dict[str, Any]:
    """Prices and instruments."""
    return {
        "ltp": smart.ltpData("NSE", "SBIN-EQ", "3045"),
        "quotes": {mode: smart.getMarketData(mode, {"NSE": ["3045", "99926000", "1"]}) for mode in ("LTP", "OHLC", "FULL")},
        "found": smart.searchScrip("NSE", "SBIN"),
    }


def orders(smart: SmartConnect) -> dict[str, Any]:
    """Place, modify, cancel, and every list that shows it."""
    filled = smart.placeOrder(order())
    full = smart.placeOrderFullResponse(order(transactiontype="SELL", price="900", quantity="4", ordertag="official2"))
    moved = full["data"]["orderid"]
    modified = smart.modifyOrder(order(orderid=moved, transactiontype="SELL", price="815", quantity="3"))
    stop = smart.placeOrder(
        order(
            variety="STOPLOSS", ordertype="STOPLOSS_LIMIT", transactiontype="SELL", price="800", triggerprice="801", quantity="1"
        )
    )
    cancelled = smart.cancelOrder(stop, "STOPLOSS")
    poor = smart.placeOrder(order(producttype="DELIVERY", quantity="100000", ordertag="poor"))
    change = SBIN | {"oldproducttype": "INTRADAY", "newproducttype": "DELIVERY", "transactiontype": "BUY", "quantity": "1"}
    converted = smart.convertPosition(change | {"type": "DAY"})
    return {
        "ids": {"filled": filled, "moved": moved, "stop": stop, "poor": poor},
        "modified": modified,
        "cancelled": cancelled,
        "book": smart.orderBook(),
        "details": smart.individual_order_details(full["data"]["uniqueorderid"]),
        "trades": smart.tradeBook(),
        "converted": converted,
        "positions": smart.position(),
        "holdings": smart.holding(),
        "all_holdings": smart.allholding(),
    }


def refusals(smart: SmartConnect, given: dict[str, str]) -> dict[str, Any]:
    """How the client tells of each refusal."""
    # The plain call answers None to every refusal; the answers themselves are seen through the one below it.
    stranger = SmartConnect(api_key=given["api_key"], access_token="x", root=given["root"])
    found = {
        "refused": outcome(lambda: smart.placeOrder(order(ordertag="a" * 21))),
        "long tag": outcome(lambda: smart._postRequest("api.order.place", order(ordertag="a" * 21))),
        "no token": outcome(lambda: smart._postRequest("api.order.place", order(symboltoken=""))),
        "unknown symbol": outcome(lambda: smart._postRequest("api.order.place", order(symboltoken="1"))),
        "wrong variety": outcome(lambda: smart._postRequest("api.order.place", order(variety="STOPLOSS"))),
        "bracket": outcome(lambda: smart._postRequest("api.order.place", order(variety="ROBO"))),
        "product": outcome(lambda: smart._postRequest("api.order.place", order(producttype="MIS"))),
        "quantity": outcome(lambda: smart._postRequest("api.order.place", order(quantity="0"))),
        "unknown order": outcome(lambda: smart.cancelOrder("1", "NORMAL")),
        "wrong token": outcome(stranger.orderBook),
    }
    for fault in ERRORS:
        requests.post(given["control"] + "/control/faults", json=fault, timeout=10).raise_for_status()
        found[fault["kind"]] = outcome(lambda: smart.getProfile("x"))
    return found


def main() -> None:
    """Do it all in the order of a trading day."""
    given = json.loads(sys.argv[1])
    # One call of the client ignores its own root.
    SmartConnect._rootUrl = given["root"]
    smart = SmartConnect(api_key=given["api_key"], root=given["root"])
    result = {
        "session": session(smart, given),
        "market": market(smart),
        "orders": orders(smart),
        "refusals": refusals(smart, given),
        "logout": smart.terminateSession(given["client_code"]),
    }
    result["after logout"] = outcome(lambda: smart.getProfile("x"))
    sys.stdout.write(json.dumps(result))


main()
