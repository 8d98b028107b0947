"""Runs in the official client's environment: every REST call a trader makes, with only the root address changed.

Arguments: one JSON object with `root`, `control`, `api_key`, `api_secret`, `request_token`. Prints one JSON object.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from kiteconnect import KiteConnect, exceptions

ERRORS = [
    {"kind": "token_expired"},
    {"kind": "ip_refused", "endpoint": "profile"},
    {"kind": "reject_sync", "endpoint": "profile", "error_type": "OrderException"},
    {"kind": "status_503"},
    {"kind": "status_429"},
    {"kind": "status_500"},
    {"kind": "status_502_html"},
    {"kind": "half_json"},
    {"kind": "ok_with_error_inside", "error_type": "DataException"},
    {"kind": "drop_before"},
]


def outcome(call: Any) -> dict[str, Any]:
    """How a call ended: its value, or the class, code and text of its error."""
    try:
        return {"value": call()}
    except exceptions.KiteException as error:
        return {"error": type(error).__name__, "code": error.code, "message": str(error)}
    except (requests.RequestException, requests.exceptions.RequestException) as error:
        return {"error": "requests", "message": type(error).__name__}


def session(kite: KiteConnect, given: dict[str, str]) -> dict[str, Any]:
    """Log in and look around."""
    opened = kite.generate_session(given["request_token"], api_secret=given["api_secret"])
    return {
        "session": {name: opened[name] for name in ("user_id", "api_key", "refresh_token", "products")},
        "login_time_is_datetime": isinstance(opened["login_time"], datetime),
        "again": outcome(lambda: KiteConnect(given["api_key"], root=given["root"]).generate_session(
            given["request_token"], api_secret=given["api_secret"])),
        "profile": kite.profile(),
        "margins": kite.margins(),
        "equity": kite.margins(segment="equity"),
    }  # fmt: skip


def market(kite: KiteConnect) -> dict[str, Any]:
    """Prices and instruments."""
    instruments = kite.instruments()
    nse = kite.instruments("NSE")
    quote = kite.quote("NSE:TCS")
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    return {
        "ltp": kite.ltp("NSE:TCS", "NSE:INFY"),
        "ohlc": kite.ohlc(["NSE:TCS"]),
        "quote": quote,
        "quote_time_is_datetime": isinstance(quote["NSE:TCS"]["timestamp"], datetime),
        "tcs": next(row for row in nse if row["tradingsymbol"] == "TCS"),
        "future": next(row for row in instruments if row["segment"] == "NFO-FUT"),
        "instruments": len(instruments),
        "candles": kite.historical_data(2953217, f"{yesterday} 09:15:00", f"{yesterday} 09:19:00", "minute", oi=True),
    }


def orders(kite: KiteConnect) -> dict[str, Any]:
    """Place, modify, cancel, and every list that shows it."""
    common = {"variety": "regular", "exchange": "NSE", "tradingsymbol": "TCS", "product": "MIS"}
    wanted = {**common, "transaction_type": "BUY", "order_type": "LIMIT", "quantity": 1, "price": 3600}
    filled = kite.place_order(
        **common, transaction_type="BUY", quantity=10, order_type="LIMIT", price=3610, validity="DAY", tag="official1"
    )
    protected = kite.place_order(**common, transaction_type="SELL", quantity=4, order_type="MARKET", market_protection=-1)
    moved = kite.place_order(**common, transaction_type="SELL", quantity=2, order_type="LIMIT", price=3700)
    kite.modify_order("regular", moved, price=3590, quantity=3)
    gone = kite.place_order(**common, transaction_type="SELL", quantity=1, order_type="SL", price=3490, trigger_price=3500)
    kite.cancel_order("regular", gone)
    converted = kite.convert_position("NSE", "TCS", "BUY", "day", 1, "MIS", "CNC")
    sliced = kite.place_autoslice_order("regular", "NSE", "INFY", "BUY", 70_000, "MIS", "LIMIT", price=1500)
    return {
        "ids": {"filled": filled, "protected": protected, "moved": moved, "gone": gone},
        "orders": kite.orders(),
        "history": kite.order_history(moved),
        "trades": kite.trades(),
        "order_trades": kite.order_trades(filled),
        "positions": kite.positions(),
        "holdings": kite.holdings(),
        "converted": converted,
        "slices": 1 + len(sliced["children"]),
        "order_margins": kite.order_margins([wanted]),
    }


def triggers(kite: KiteConnect) -> dict[str, Any]:
    """Good-till-triggered orders."""
    leg = {"transaction_type": "SELL", "quantity": 1, "order_type": "LIMIT", "product": "MIS", "price": 3400}
    trigger_id = kite.place_gtt("single", "TCS", "NSE", [3410], 3600, [leg])["trigger_id"]
    kite.modify_gtt(trigger_id, "single", "TCS", "NSE", [3420], 3600, [leg])
    seen = kite.get_gtt(trigger_id)
    kite.delete_gtt(trigger_id)
    return {"seen": seen, "left": kite.get_gtts()}


def refusals(kite: KiteConnect, given: dict[str, str]) -> dict[str, Any]:
    """How the client names each refusal."""

    def buy(**changes: Any) -> Any:
        fields = {
            "variety": "regular", "exchange": "NSE", "tradingsymbol": "TCS", "transaction_type": "BUY", "quantity": 1,
            "product": "MIS", "order_type": "LIMIT", "price": 3600,
        }  # fmt: skip
        return outcome(lambda: kite.place_order(**(fields | changes)))

    found = {
        "bad field": buy(quantity=0),
        "long tag": buy(tag="a" * 21),
        "no protection": buy(order_type="MARKET", price=None),
        "no funds": buy(quantity=27_000, product="CNC"),
        "no holdings": buy(transaction_type="SELL", product="CNC", tradingsymbol="SBIN", price=820),
        "unknown order": outcome(lambda: kite.order_history("1")),
        "wrong token": outcome(lambda: KiteConnect(given["api_key"], access_token="x", root=given["root"]).orders()),
    }
    for fault in ERRORS:
        requests.post(given["control"] + "/control/faults", json=fault, timeout=10).raise_for_status()
        found[fault["kind"]] = outcome(kite.profile)
    return found


def main() -> None:
    """Do it all in the order of a trading day."""
    given = json.loads(sys.argv[1])
    kite = KiteConnect(api_key=given["api_key"], root=given["root"])
    result = {
        "session": session(kite, given),
        "market": market(kite),
        "orders": orders(kite),
        "triggers": triggers(kite),
        "refusals": refusals(kite, given),
        "logout": kite.invalidate_access_token(),
    }
    result["after logout"] = outcome(kite.profile)
    sys.stdout.write(json.dumps(result, default=str))


main()
