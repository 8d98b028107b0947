"""Runs in the official client's environment: every REST call a trader makes, with only the addresses changed.

Arguments: one JSON object with `api`, `auth`, `master`, `control`, `client_id`, `app_id`, `app_secret`, `pin`, `token_id`. Prints
one JSON object as its last line; the client prints lines of its own.
"""

import json
import sys
import webbrowser
from typing import Any

import requests
from dhanhq import DhanContext, DhanHTTP, DhanLogin, Security, dhanhq

ERRORS = [
    {"kind": "token_expired"},
    {"kind": "ip_refused", "endpoint": "profile"},
    {"kind": "status_503"},
    {"kind": "status_429"},
    {"kind": "status_500"},
    {"kind": "status_502_html"},
    {"kind": "half_json"},
    {"kind": "drop_before"},
]
TCS, INFY = "11536", "1594"


def outcome(call: Any) -> dict[str, Any]:
    """A login call's value, or that it raised."""
    try:
        return {"value": call()}
    except Exception as error:  # noqa: BLE001 (the client raises nothing more particular)
        return {"error": str(error)}


def logins(given: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Every way of getting a token; the last one lives."""
    login = DhanLogin(given["client_id"])
    opened: list[str] = []
    webbrowser.open = lambda url, *_: bool(opened.append(url)) or True  # type: ignore[assignment]
    found: dict[str, Any] = {
        "consent": login.generate_login_session(given["app_id"], given["app_secret"]),
        "wrong secret": outcome(lambda: login.consume_token_id(given["token_id"], given["app_id"], "wrong")),
        "wrong pin": outcome(lambda: login.generate_token("000000", "135790")),
    }
    consumed = login.consume_token_id(given["token_id"], given["app_id"], given["app_secret"])
    found["again"] = outcome(lambda: login.consume_token_id(given["token_id"], given["app_id"], given["app_secret"]))
    by_pin = login.generate_token(given["pin"], "135790")
    found["first is dead"] = outcome(lambda: login.user_profile(consumed["accessToken"]))
    renewed = login.renew_token(by_pin["accessToken"])
    token = renewed["accessToken"]
    found["pages"] = opened
    found["answers"] = [sorted(consumed), sorted(by_pin), sorted(renewed)]
    found["profile"] = login.user_profile(token)
    found["set ip"] = login.set_ip(token, "10.200.10.10", "PRIMARY")
    found["ip"] = login.get_ip(token)
    return str(token), found


def market(dhan: dhanhq) -> dict[str, Any]:
    """Prices and instruments."""
    listed = dhan.fetch_security_list("compact")
    shares = listed[(listed["SEM_EXM_EXCH_ID"] == "NSE") & (listed["SEM_SEGMENT"] == "E")]
    return {
        "ltp": dhan.ticker_data({"NSE_EQ": [int(TCS), int(INFY)]}),
        "ohlc": dhan.ohlc_data({"NSE_EQ": [int(TCS)]}),
        "quote": dhan.quote_data({"NSE_EQ": [int(TCS)]}),
        "tcs": json.loads(shares[shares["SEM_TRADING_SYMBOL"] == "TCS"].to_json(orient="records"))[0],
        "instruments": len(listed),
    }


def orders(dhan: dhanhq) -> dict[str, Any]:
    """Place, modify, cancel, and every list that shows it."""

    def place(side: str, quantity: int, price: float, **changes: Any) -> Any:
        fields = {"order_type": dhan.LIMIT, "product_type": dhan.INTRA, "trigger_price": 0, "security_id": TCS}
        return dhan.place_order(
            exchange_segment=dhan.NSE, transaction_type=side, quantity=quantity, price=price, **(fields | changes)
        )

    filled = place(dhan.BUY, 10, 3610, tag="official1")
    market_order = place(dhan.SELL, 4, 0, order_type=dhan.MARKET)
    moved = place(dhan.SELL, 2, 3700)
    moved_id = moved["data"]["orderId"]
    modified = dhan.modify_order(moved_id, dhan.LIMIT, "ENTRY_LEG", 3, 3590, 0, 0, dhan.DAY)
    gone = place(dhan.SELL, 1, 3490, order_type=dhan.SL, trigger_price=3500)
    cancelled = dhan.cancel_order(gone["data"]["orderId"])
    sliced = dhan.place_slice_order(INFY, dhan.NSE, dhan.BUY, 70_000, dhan.LIMIT, dhan.INTRA, 1500)
    answers = {"filled": filled, "market": market_order, "moved": moved, "gone": gone}
    return {
        "ids": {name: answer["data"]["orderId"] for name, answer in answers.items()},
        "answers": [answer["data"]["orderStatus"] for answer in (filled, modified, cancelled)],
        "orders": dhan.get_order_list()["data"],
        "one": dhan.get_order_by_id(moved_id)["data"],
        "tagged": dhan.get_order_by_correlationID("official1")["data"],
        "trades": dhan.get_trade_book()["data"],
        "order_trades": dhan.get_trade_book(filled["data"]["orderId"])["data"],
        "positions": dhan.get_positions()["data"],
        "holdings": dhan.get_holdings()["data"],
        "funds": dhan.get_fund_limits()["data"],
        "slices": len(sliced["data"]),
    }


def control(dhan: dhanhq) -> dict[str, Any]:
    """What an order would block; and the client's own kill switch, which wants an account without positions."""
    return {
        "margin": dhan.margin_calculator(TCS, dhan.NSE, dhan.BUY, 10, dhan.INTRA, 3600)["data"],
        "status": dhan.status_kill_switch()["data"]["killSwitchStatus"],
        "on": dhan.kill_switch("activate")["data"]["killSwitchStatus"],
        "refused": dhan.place_order(TCS, dhan.NSE, dhan.BUY, 1, dhan.LIMIT, dhan.INTRA, 3600)["remarks"],
        "off": dhan.kill_switch("deactivate")["data"]["killSwitchStatus"],
    }


def refusals(dhan: dhanhq, given: dict[str, str]) -> dict[str, Any]:
    """How the client shows each refusal."""

    def buy(**changes: Any) -> Any:
        fields = {
            "security_id": TCS, "exchange_segment": "NSE_EQ", "transaction_type": "BUY", "quantity": 1, "order_type": "LIMIT",
            "product_type": "INTRADAY", "price": 3600,
        }  # fmt: skip
        return dhan.place_order(**(fields | changes))

    found = {
        "bad field": buy(quantity=0),
        "long tag": buy(tag="a" * 31),
        "off the tick": buy(price=3600.03),
        "no funds": buy(quantity=27_000, product_type="CNC"),
        "no holdings": buy(transaction_type="SELL", product_type="CNC", security_id="3045", price=820),
        "unknown order": dhan.get_order_by_id("1"),
        "unknown tag": dhan.get_order_by_correlationID("nobody"),
        "wrong token": dhanhq(DhanContext(given["client_id"], "wrong")).get_order_list(),
    }
    for fault in ERRORS:
        requests.post(given["control"] + "/control/faults", json=fault, timeout=10).raise_for_status()
        found[fault["kind"]] = dhan.dhan_http.get("/profile")
    return found


def main() -> None:
    """Do it all in the order of a trading day."""
    given = json.loads(sys.argv[1])
    DhanHTTP.API_BASE_URL = DhanLogin.API_BASE_URL = given["api"]
    DhanLogin.AUTH_BASE_URL = given["auth"]
    Security.COMPACT_CSV_URL = given["master"]
    token, session = logins(given)
    dhan = dhanhq(DhanContext(given["client_id"], token))
    result = {
        "session": session,
        "control": control(dhan),
        "market": market(dhan),
        "orders": orders(dhan),
        "refusals": refusals(dhan, given),
    }
    sys.stdout.write("\n" + json.dumps(result, default=str) + "\n")


main()
