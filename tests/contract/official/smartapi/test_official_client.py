"""The broker's own client, unchanged, trades on the simulator: only its addresses differ."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from simulator.dialects.common.dialect import SimulatedAccount
from simulator.testing import RunningSimulator, running_simulator
from tests.contract.official.client import OfficialClient, Row, deliver_infosys

SBIN, NIFTY = "3045", "99926000"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
async def sim() -> AsyncIterator[RunningSimulator]:
    async with running_simulator(rate_limits="off") as running:
        running.set_prices({"SBIN": 820, "NIFTY 50": 24_500})
        yield running


@pytest.fixture
async def day(client: OfficialClient, sim: RunningSimulator) -> Row:
    """What the client got in the course of a whole trading day."""
    account = sim.simulator.registry.register("app-1", api_secret="4821", user_id="A12345")
    account.funds = 300_000_000_000
    deliver_infosys(account)
    given = {
        "root": sim.urls("angel_one")["api_url"],
        "control": sim.control_url,
        "api_key": "app-1",
        "client_code": "A12345",
        "pin": "4821",
        "code": "123456",
    }
    return await client.run("rest_script.py", given)


async def test_a_trading_day_over_rest(day: Row) -> None:
    check_session(day["session"])
    check_market(day["market"])
    check_orders(day["orders"])
    check_refusals(day["refusals"])
    assert day["logout"]["status"] is True
    assert day["after logout"]["value"]["errorCode"] == "AG8001"


def check_session(found: Row) -> None:
    assert (found["wrong"]["status"], found["wrong"]["errorcode"]) == (False, "AB1007")
    assert found["user"]["clientcode"] == found["profile"]["data"]["clientcode"] == "A12345"
    assert found["user"]["jwtToken"].startswith("Bearer ")
    assert found["renewed"]["jwtToken"] != found["user"]["jwtToken"].removeprefix("Bearer ")
    assert found["feed_token"] == found["renewed"]["feedToken"] != found["user"]["feedToken"]
    assert found["funds"]["data"]["net"] == "30000000.00"


def check_market(found: Row) -> None:
    assert (found["ltp"]["data"]["ltp"], found["ltp"]["data"]["tradingsymbol"]) == (820, "SBIN-EQ")
    for mode, quoted in found["quotes"].items():
        fetched, unfetched = quoted["data"]["fetched"], quoted["data"]["unfetched"]
        assert [(row["symbolToken"], row["ltp"]) for row in fetched] == [(SBIN, 820), (NIFTY, 24_500)]
        assert [row["symbolToken"] for row in unfetched] == ["1"]
        assert ("open" in fetched[0], "depth" in fetched[0]) == (mode != "LTP", mode == "FULL")
    full = found["quotes"]["FULL"]["data"]["fetched"][0]
    assert (full["lowerCircuit"], full["upperCircuit"]) == (656, 984)
    assert len(full["depth"]["buy"]) == len(full["depth"]["sell"]) == 5
    assert {"exchange": "NSE", "tradingsymbol": "SBIN-EQ", "symboltoken": SBIN} in found["found"]["data"]


def check_orders(found: Row) -> None:
    rows = {row["orderid"]: row for row in found["book"]["data"]}
    by_name = {name: rows[order_id] for name, order_id in found["ids"].items()}
    assert {name: (row["orderstatus"], row["filledshares"], row["variety"]) for name, row in by_name.items()} == {
        "filled": ("complete", "10", "NORMAL"),
        "moved": ("complete", "3", "NORMAL"),
        "stop": ("cancelled", "0", "STOPLOSS"),
        "poor": ("rejected", "0", "NORMAL"),
    }
    assert (by_name["filled"]["ordertag"], by_name["filled"]["averageprice"]) == ("official1", 820)
    assert "Insufficient Funds" in by_name["poor"]["text"]
    assert found["modified"]["data"]["orderid"] == found["ids"]["moved"]
    assert found["cancelled"]["data"]["orderid"] == found["ids"]["stop"]
    assert found["details"]["data"] == by_name["moved"]
    trades = [trade for trade in found["trades"]["data"] if trade["orderid"] == found["ids"]["filled"]]
    assert [(trade["fillsize"], trade["fillprice"], trade["tradingsymbol"]) for trade in trades] == [("10", "820.00", "SBIN-EQ")]
    assert found["converted"]["status"] is True
    net = {row["producttype"]: row["netqty"] for row in found["positions"]["data"]}
    assert net == {"INTRADAY": "6", "DELIVERY": "1"}
    (held,) = found["holdings"]["data"]
    shown = (held["tradingsymbol"], held["realisedquantity"], held["t1quantity"], held["averageprice"])
    assert shown == ("INFY-EQ", 10, 2, 1400.55)
    assert found["all_holdings"]["data"]["holdings"] == [held]


def check_refusals(found: Row) -> None:
    codes = {name: code_of(refusal) for name, refusal in found.items()}
    assert codes == {
        "refused": None,
        "long tag": "AB4008",
        "no token": "AB4018",
        "unknown symbol": "AB1009",
        "wrong variety": "AB1008",
        "bracket": "AB2002",
        "product": "AB1012",
        "quantity": "AB1004",
        "unknown order": "AB1013",
        "wrong token": "AG8001",
        "token_expired": "AG8002",
        "ip_refused": "AG7002",
        "reject_sync": "AB1009",
        "ok_with_error_inside": "AB1004",
        "status_500": "AB2001",
        # Whatever is not JSON, the plain text over the rate limit included.
        "status_502_html": "DataException",
        "status_503": "DataException",
        "status_429": "DataException",
        "half_json": "DataException",
        "drop_before": "requests",
    }


def code_of(refusal: Row) -> str | None:
    if "error" in refusal:
        return str(refusal["error"])
    answer = refusal["value"]
    return None if answer is None else str(answer.get("errorcode", answer.get("errorCode")))


def arguments(sim: RunningSimulator, account: SimulatedAccount, url: str, **wanted: Any) -> Row:
    return {
        "url": sim.urls("angel_one")[url],
        "token": f"Bearer {account.access_token}",
        "api_key": account.api_key,
        "client_code": account.user_id,
        "feed_token": account.feed_token,
    } | wanted


@pytest.mark.parametrize("mode", [1, 2, 3])
async def test_the_client_decodes_ticks_of_each_mode(client: OfficialClient, sim: RunningSimulator, mode: int) -> None:
    account = sim.account("alice", dialect="angel_one")
    sim.place_by_hand("alice", symbol="SBIN", side="BUY", quantity=7)
    tokens = [{"exchangeType": 1, "tokens": [SBIN, NIFTY]}]
    given = arguments(sim, account, "ws_url", mode=mode, tokens=tokens, ticks=4)
    running = await client.start("feed_script.py", given)
    await running.connected()
    dialect: Any = sim.simulator.dialects["angel_one"]
    await sim.wait_for(lambda: dialect.hub.subscribers((1, NIFTY)) == 1)
    sim.set_prices({"SBIN": "815.35", "NIFTY 50": "24400.25"})
    found = await running.result()
    sbin, nifty = ([tick for tick in found["ticks"] if tick["token"] == token] for token in (SBIN, NIFTY))
    assert [(tick["subscription_mode"], tick["exchange_type"], tick["last_traded_price"]) for tick in (*sbin, *nifty)] == [
        (mode, 1, 82_000),
        (mode, 1, 81_535),
        (mode, 1, 2_450_000),
        (mode, 1, 2_440_025),
    ]
    last = sbin[-1]
    if mode > 1:
        assert (last["volume_trade_for_the_day"], last["last_traded_quantity"], last["average_traded_price"]) == (7, 7, 82_000)
        ohlc = ("open_price_of_the_day", "high_price_of_the_day", "low_price_of_the_day", "closed_price")
        assert [last[name] for name in ohlc] == [82_000, 82_000, 81_535, 82_000]
    if mode > 2:
        check_snap_quote(last)


def check_snap_quote(tick: Row) -> None:
    assert (tick["upper_circuit_limit"], tick["lower_circuit_limit"]) == (98_400, 65_600)
    assert [row["price"] for row in tick["best_5_buy_data"]] == [81_530, 81_525, 81_520, 81_515, 81_510]
    assert tick["best_5_sell_data"][0] == {"flag": 0, "quantity": 500, "price": 81_540, "no of orders": 1}
    assert abs(tick["last_traded_timestamp"] * 1_000 - tick["exchange_timestamp"]) < 60_000


async def test_the_client_is_told_of_order_updates(client: OfficialClient, sim: RunningSimulator) -> None:
    account = sim.account("alice", dialect="angel_one")
    running = await client.start("orders_script.py", arguments(sim, account, "orders_ws_url", updates=5))
    await running.connected()
    order_id = sim.place_by_hand("alice", symbol="SBIN", side="BUY", quantity=5, price=815)
    sim.set_depth("SBIN", 2)
    sim.set_price("SBIN", 815)
    sim.set_depth("SBIN", None)
    greeting, *updates = (await running.result())["updates"]
    assert (greeting["order-status"], greeting["user-id"], greeting["orderData"]) == ("AB00", account.user_id, {})
    told = [
        (update["order-status"], update["orderData"]["orderstatus"], update["orderData"]["filledshares"]) for update in updates
    ]
    assert told == [("AB09", "open pending", "0"), ("AB01", "open", "0"), ("AB01", "open", "2"), ("AB05", "complete", "5")]
    assert {update["orderData"]["orderid"] for update in updates} == {order_id}


@pytest.mark.parametrize(("script", "url"), [("feed_script.py", "ws_url"), ("orders_script.py", "orders_ws_url")])
async def test_the_client_is_told_why_it_may_not_connect(
    client: OfficialClient, sim: RunningSimulator, script: str, url: str
) -> None:
    wrong = SimulatedAccount("sim-alice", "sim-alice", "", "wrong", "A1", feed_token="wrong")
    given = arguments(sim, wrong, url, mode=1, tokens=[], ticks=1, updates=1)
    found = await client.run(script, given)
    assert "401" in found["error"]
