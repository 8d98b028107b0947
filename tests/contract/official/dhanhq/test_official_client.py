"""The broker's own client, unchanged, trades on the simulator: only its addresses differ."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from simulator.dialects.common.dialect import SimulatedAccount
from simulator.dialects.dhan.app import DhanDialect
from simulator.dialects.dhan.session import PIN
from simulator.testing import RunningSimulator, running_simulator
from tests.contract.official.client import OfficialClient, Row, deliver_infosys

TCS, INFY, NIFTY = "11536", "1594", "1001"
NSE, INDEX = 1, 0
TICKER, QUOTE, FULL = 15, 17, 21
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
async def sim() -> AsyncIterator[RunningSimulator]:
    async with running_simulator(rate_limits="off") as running:
        yield running


def dialect(sim: RunningSimulator) -> DhanDialect:
    found = sim.simulator.dialects["dhan"]
    assert isinstance(found, DhanDialect)
    return found


@pytest.fixture
async def day(client: OfficialClient, sim: RunningSimulator) -> Row:
    """What the client got in the course of a whole trading day."""
    registry, urls = sim.simulator.registry, sim.urls("dhan")
    account = registry.register("app-1", api_secret="quite-secret", user_id="1000000001")
    account.funds = 300_000_000_000
    deliver_infosys(account)
    sim.set_prices({"TCS": 3600, "INFY": 1500})
    given = {
        "api": urls["api_url"],
        "auth": urls["login_url"],
        "master": urls["master_url"].replace("-detailed", ""),
        "control": sim.control_url,
        "client_id": "1000000001",
        "app_id": "app-1",
        "app_secret": "quite-secret",
        "pin": PIN,
        "token_id": registry.mint_request_token(account),
    }
    found: Row = await client.run("rest_script.py", given)
    return found


async def test_a_trading_day_over_rest(day: Row) -> None:
    check_session(day["session"])
    check_control(day["control"])
    check_market(day["market"])
    check_orders(day["orders"])
    check_refusals(day["refusals"])


def check_session(found: Row) -> None:
    assert found["consent"]
    assert [page.rpartition("=")[2] for page in found["pages"]] == [found["consent"]]
    assert {"error"} == set(found["wrong secret"]) == set(found["wrong pin"]) == set(found["again"])
    assert "DH-906" in found["wrong pin"]["error"]
    assert "DH-901" in found["first is dead"]["error"]
    fields = ["accessToken", "dhanClientId", "dhanClientName", "dhanClientUcc", "expiryTime", "givenPowerOfAttorney"]
    assert found["answers"] == [fields] * 3
    assert (found["profile"]["dhanClientId"], found["profile"]["dataPlan"]) == ("1000000001", "Active")
    assert found["set ip"]["data"] == {"message": "IP saved successfully", "status": "SUCCESS"}
    assert found["ip"]["data"]["primaryIP"] == "10.200.10.10"


def check_control(found: Row) -> None:
    assert (found["margin"]["totalMargin"], found["margin"]["leverage"]) == (7200, "5.00")
    assert found["status"] == "DEACTIVATE"
    assert "successfully activated" in found["on"]
    assert found["refused"]["error_code"] == "DH-906"
    assert "successfully deactivated" in found["off"]


def check_market(found: Row) -> None:
    # The client puts an envelope of its own around the broker's.
    assert found["ltp"]["data"]["data"] == {"NSE_EQ": {TCS: {"last_price": 3600}, INFY: {"last_price": 1500}}}
    assert found["ohlc"]["data"]["data"]["NSE_EQ"][TCS]["ohlc"]["open"] == 3600
    assert len(found["quote"]["data"]["data"]["NSE_EQ"][TCS]["depth"]["buy"]) == 5
    assert (found["tcs"]["SEM_SMST_SECURITY_ID"], found["tcs"]["SEM_TICK_SIZE"], found["tcs"]["SEM_SERIES"]) == (
        11536,
        10.0,
        "EQ",
    )
    assert found["instruments"] > 90


def check_orders(found: Row) -> None:
    assert found["answers"] == ["TRANSIT", "TRANSIT", "CANCELLED"]
    rows = {row["orderId"]: row for row in found["orders"]}
    by_name = {name: rows[order_id] for name, order_id in found["ids"].items()}
    assert {name: (row["orderStatus"], row["filledQty"]) for name, row in by_name.items()} == {
        "filled": ("TRADED", 10),
        "market": ("TRADED", 4),
        "moved": ("TRADED", 3),
        "gone": ("CANCELLED", 0),
    }
    assert by_name["filled"]["correlationId"] == "official1"
    assert (by_name["market"]["orderType"], by_name["market"]["price"]) == ("LIMIT", 3582)
    assert (by_name["gone"]["orderType"], by_name["gone"]["triggerPrice"]) == ("STOP_LOSS", 3500)
    assert found["one"] == by_name["moved"]
    assert found["tagged"] == [by_name["filled"]]
    assert sum(trade["tradedQuantity"] for trade in found["order_trades"]) == 10
    assert len(found["trades"]) >= 3
    net = {(row["tradingSymbol"], row["productType"]): (row["netQty"], row["positionType"]) for row in found["positions"]}
    assert net == {("TCS", "INTRADAY"): (3, "LONG"), ("INFY", "INTRADAY"): (70_000, "LONG")}
    (held,) = found["holdings"]
    assert (held["exchange"], held["securityId"], held["tradingSymbol"]) == ("ALL", INFY, "INFY")
    assert (held["totalQty"], held["dpQty"], held["t1Qty"], held["avgCostPrice"]) == (12, 10, 2, 1400.55)
    assert found["funds"]["availabelBalance"] + found["funds"]["utilizedAmount"] == found["funds"]["sodLimit"] == 30_000_000
    assert found["slices"] == 2


def check_refusals(found: Row) -> None:
    coded = {name: refusal["remarks"]["error_code"] for name, refusal in found.items() if isinstance(refusal["remarks"], dict)}
    assert {refusal["status"] for refusal in found.values()} == {"failure"}
    assert coded == {
        "bad field": "DH-905",
        "long tag": "DH-905",
        "off the tick": "DH-905",
        "no funds": "DH-906",
        "no holdings": "DH-906",
        "unknown order": "DH-907",
        "unknown tag": "DH-907",
        "wrong token": "DH-901",
        "token_expired": "DH-901",
        "ip_refused": "DH-911",
        "status_503": "DH-909",
        "status_429": "DH-904",
        "status_500": "DH-908",
    }
    # What is no JSON the client shows as its own failure.
    assert set(found) - set(coded) == {"status_502_html", "half_json", "drop_before"}
    assert "Insufficient funds" in found["no funds"]["remarks"]["error_message"]
    assert "Insufficient holdings" in found["no holdings"]["remarks"]["error_message"]


def arguments(sim: RunningSimulator, account: SimulatedAccount, **wanted: Any) -> Row:
    return {"root": sim.urls("dhan")["ws_url"], "client_id": account.user_id, "access_token": account.access_token} | wanted


@pytest.mark.parametrize(("mode", "kind"), [(TICKER, "Ticker Data"), (QUOTE, "Quote Data"), (FULL, "Full Data")])
async def test_the_client_decodes_ticks_of_each_mode(client: OfficialClient, sim: RunningSimulator, mode: int, kind: str) -> None:
    account = sim.account("alice", dialect="dhan")
    sim.place_by_hand("alice", symbol="TCS", side="BUY", quantity=7)
    given = arguments(sim, account, instruments=[[NSE, TCS, mode], [INDEX, NIFTY, mode]], last="3490.50")
    running = await client.start("feed_script.py", given)
    await sim.wait_for(lambda: len(dialect(sim).hub.subscribers("NSE:NIFTY 50")) == 1, seconds=60)
    await sim.wait_for(lambda: len(dialect(sim).hub.subscribers("NSE:TCS")) == 1)
    sim.set_prices({"TCS": "3490.5", "NIFTY 50": "3490.5"})
    found = await running.result()
    (tcs,) = [one for one in found["messages"] if one["security_id"] == int(TCS) and one.get("LTP") == "3490.50"]
    (nifty,) = [one for one in found["messages"] if one["security_id"] == int(NIFTY) and one.get("LTP") == "3490.50"]
    assert (tcs["type"], tcs["exchange_segment"], nifty["exchange_segment"]) == (kind, NSE, INDEX)
    assert {"Previous Close", kind} == {one["type"] for one in found["messages"]}
    if mode != TICKER:
        assert (tcs["volume"], tcs["LTQ"], tcs["avg_price"]) == (7, 7, "3600.00")
        assert [tcs[name] for name in ("open", "high", "low", "close")] == ["3600.00", "3600.00", "3490.50", "3600.00"]
    if mode == FULL:
        assert [row["bid_price"] for row in tcs["depth"]] == ["3490.40", "3490.30", "3490.20", "3490.10", "3490.00"]
        assert (tcs["depth"][0]["ask_price"], tcs["depth"][0]["ask_quantity"]) == ("3490.60", 500)
    await sim.wait_for(lambda: dialect(sim).connections("sim-alice") == 0)


async def test_the_client_is_told_why_it_may_not_connect(client: OfficialClient, sim: RunningSimulator) -> None:
    sim.account("alice", dialect="dhan")
    stranger = SimulatedAccount("sim-alice", "", "", "wrong", "1000000009")
    given = arguments(sim, stranger, instruments=[[NSE, TCS, TICKER]], last="1")
    running = await client.start("feed_script.py", given)
    assert (await running.result()) == {"messages": [], "closed": 1}


async def test_the_client_is_called_back_with_order_updates(client: OfficialClient, sim: RunningSimulator) -> None:
    account = sim.account("alice", dialect="dhan")
    running = await client.start("updates_script.py", arguments(sim, account, orders=4))
    await sim.wait_for(lambda: "sim-alice" in dialect(sim).hub.listeners, seconds=60)
    sim.set_depth("TCS", 2)
    order_id = sim.place_by_hand("alice", symbol="TCS", side="BUY", quantity=5, price=3600)
    sim.set_depth("TCS", None)
    sim.set_price("TCS", 3600)
    found = await running.result()
    assert {one["Type"] for one in found} == {"order_alert"}
    told = [(one["Data"]["orderNo"], one["Data"]["status"], one["Data"]["tradedQty"]) for one in found]
    assert told == [
        (order_id, "Transit", 0),
        (order_id, "Pending", 0),
        (order_id, "Part Traded", 2),
        (order_id, "Traded", 5),
    ]
    assert (found[0]["Data"]["txnType"], found[0]["Data"]["product"], found[0]["Data"]["segment"]) == ("B", "I", "E")
