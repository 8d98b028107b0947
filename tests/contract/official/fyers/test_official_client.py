"""The broker's own client, unchanged, trades on the simulator: only its addresses differ."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from simulator.exchange.orders import OrderRequest, OrderType, Product, Side
from simulator.money import to_price
from simulator.testing import RunningSimulator, running_simulator
from tests.contract.official.client import OfficialClient, Row, deliver_infosys

APP, OLD_APP = "SIMULATED1-200", "SIMULATED1-100"
SBIN, NIFTY = "NSE:SBIN-EQ", "NSE:NIFTY50-INDEX"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
async def sim() -> AsyncIterator[RunningSimulator]:
    async with running_simulator(rate_limits="off") as running:
        running.set_prices({"SBIN": 820, "TCS": 3_600, "NIFTY 50": 24_500})
        registry = running.simulator.registry
        registry.register(APP, api_secret="quite-secret", user_id="XA00001", funds=200_000_000_000)
        registry.register(OLD_APP, api_secret="quite-secret", user_id="XA00002")
        yield running


def token(sim: RunningSimulator, app_id: str) -> str:
    """Of a session that is open already."""
    account = sim.simulator.registry.find(app_id)
    assert account is not None
    return sim.simulator.dialects["fyers"].log_in(account).access_token


@pytest.fixture
async def day(client: OfficialClient, sim: RunningSimulator) -> Row:
    """What the client got in the course of a whole trading day."""
    account = sim.simulator.registry.find(APP)
    assert account is not None
    deliver_infosys(account)
    urls = sim.urls("fyers")
    given = {
        "api": urls["api_url"],
        "data": urls["data_url"],
        "control": sim.control_url,
        "app_id": APP,
        "secret": account.api_secret,
        "code": sim.simulator.dialects["fyers"].login_answer(account)["code"],
        "old_app_id": OLD_APP,
        "old_token": token(sim, OLD_APP),
    }
    return await client.run("rest_script.py", given)


async def test_a_trading_day_over_rest(day: Row) -> None:
    check_session(day)
    check_market(day["market"])
    check_orders(day["orders"])
    check_books(day["orders"])
    check_refusals(day["refusals"])


def check_session(day: Row) -> None:
    session = day["session"]
    query = f"client_id={APP}&redirect_uri=https%3A%2F%2Fback.example%2F&response_type=code&state=s1"
    assert session["page"].endswith(f"/generate-authcode?{query}")
    assert (session["opened"]["s"], session["opened"]["code"]) == ("ok", 200)
    assert (session["again"]["s"], session["again"]["code"]) == ("error", -50)
    assert day["profile"]["data"]["fy_id"] == "XA00001"
    assert day["logout"]["message"] == "you are successfully logged out"
    assert day["after logout"]["code"] == -16


def check_market(found: Row) -> None:
    sbin, nifty, mahindra, nobody = found["quotes"]["d"]
    assert (sbin["v"]["lp"], nifty["v"]["lp"]) == (820, 24_500)
    assert (mahindra["s"], mahindra["v"]["short_name"]) == ("ok", "M&M-EQ")
    assert nobody["s"] == "error"
    depth = found["depth"]["d"][SBIN]
    assert (len(depth["bids"]), len(depth["ask"]), depth["ltp"]) == (5, 5, 820)
    assert (depth["lower_ckt"], depth["upper_ckt"]) > (0, 820)
    assert {row["status"] for row in found["status"]["marketStatus"]} == {"OPEN"}


def check_orders(found: Row) -> None:
    assert [found[name]["code"] for name in ("filled", "modified", "cancelled", "market")] == [1101, 1102, 1103, 1101]
    assert found["filled"]["message"].endswith(found["filled"]["id"])
    assert [part["statusCode"] for part in found["several"]["data"]] == [200, 400, 400]
    assert [part["body"]["code"] for part in found["several"]["data"]] == [1101, -50, -50]
    assert found["several_modified"]["data"][0]["body"]["code"] == 1102
    assert found["several_cancelled"]["data"][0]["body"]["code"] == 1103
    rows = {row["id"]: row for row in found["book"]["orderBook"]}
    by_name = {name: rows[found[name]["id"]] for name in ("filled", "moved", "gone", "market")}
    assert {name: (row["status"], row["filledQty"]) for name, row in by_name.items()} == {
        "filled": (2, 10),
        "moved": (2, 3),
        "gone": (1, 0),
        "market": (2, 4),
    }
    market = by_name["market"]
    assert (market["type"], market["orderTag"]) == (1, "2:Untagged")
    assert 0 < market["limitPrice"] < 820


def check_books(found: Row) -> None:
    filled = found["filled"]["id"]
    assert [row["id"] for row in found["one"]["orderBook"]] == [row["id"] for row in found["tagged"]["orderBook"]] == [filled]
    assert found["tagged"]["orderBook"][0]["orderTag"] == "1:official1"
    assert found["none_tagged"]["orderBook"] == []
    traded = [row for row in found["trades"]["tradeBook"] if row["orderNumber"] == filled]
    assert sum(row["tradedQty"] for row in traded) == 10
    assert {row["symbol"] for row in traded} == {SBIN}
    assert found["converted"]["s"] == "ok"
    net = {row["id"]: row["netQty"] for row in found["positions"]["netPositions"]}
    assert net == {f"{SBIN}-INTRADAY": 2, f"{SBIN}-CNC": 1}
    (held,) = found["holdings"]["holdings"]
    assert (held["symbol"], held["quantity"], held["qty_t1"], held["costPrice"]) == ("NSE:INFY-EQ", 12, 2, 1400.55)
    assert [row["id"] for row in found["funds"]["fund_limit"]] == list(range(1, 11))


def check_refusals(found: Row) -> None:
    codes = {name: refusal.get("code") for name, refusal in found.items()}
    assert codes == {
        "bad symbol": -50,
        "bad quantity": -50,
        "bad price": -50,
        "bad tag": -50,
        "numbers as text": -50,
        "beyond the limit": -99,
        "no money": -99,
        "no shares": -99,
        "unknown order": -51,
        "old app": -50,
        "old app reads": 200,
        "wrong token": -16,
        "token_expired": -16,
        "reject_sync": -373,
        "status_503": 500,
        "status_429": -429,
        "status_500": -96,
        # This client makes an answer of its own where it gets none: the HTTP status, or what is left from the time before.
        "status_502_html": 502,
        "half_json": 200,
        "ok_with_error_inside": -96,
        "drop_before": -99,
        "ip_refused": -50,
    }
    assert "Margin Shortfall" in found["no money"]["message"]
    assert "circuit limit" in found["beyond the limit"]["message"]
    assert f"not allowed from this app {OLD_APP}" in found["old app"]["message"]
    assert "not allowed from this app" in found["ip_refused"]["message"]


def feed_arguments(sim: RunningSimulator, **wanted: Any) -> Row:
    urls = sim.urls("fyers")
    given = {"ws": urls["ws_url"], "data": urls["data_url"], "master": urls["master_url"], "token": f"{APP}:{token(sim, APP)}"}
    return given | {"kind": "SymbolUpdate", "lite": False} | wanted


@pytest.mark.parametrize("lite", [False, True], ids=["full", "lite"])
async def test_the_client_decodes_prices(client: OfficialClient, sim: RunningSimulator, lite: bool) -> None:
    given = feed_arguments(sim, symbols=[SBIN, NIFTY, "NSE:NOPE-EQ"], lite=lite, until={SBIN: 815.35, NIFTY: 24_400.25})
    running = await client.start("feed_script.py", given)
    await running.connected()
    sim.set_prices({"SBIN": "819.95", "NIFTY 50": "24450.1"})
    sim.set_prices({"SBIN": "815.35", "NIFTY 50": "24400.25"})
    found = await running.result()
    told = [[row["ltp"] for row in found["messages"] if row.get("symbol") == symbol] for symbol in (SBIN, NIFTY)]
    assert told == [[820, 819.95, 815.35], [24_500, 24_450.1, 24_400.25]]
    assert {row["message"] for row in found["messages"] if "message" in row} == {
        "Authentication done",
        "Lite Mode On" if lite else "Full Mode On",
        "Subscribed",
    }
    assert [error["invalid_symbols"] for error in found["errors"]] == [["NSE:NOPE-EQ"]]
    if not lite:
        check_quote(*([row for row in found["messages"] if row.get("symbol") == symbol][-1] for symbol in (SBIN, NIFTY)))


def check_quote(sbin: Row, nifty: Row) -> None:
    assert (sbin["type"], nifty["type"]) == ("sf", "if")
    assert sbin["low_price"] == 815.35 < sbin["open_price"] == sbin["prev_close_price"] == sbin["high_price"]
    assert (nifty["low_price"], sbin["bid_price"] < 815.35 < sbin["ask_price"]) == (24_400.25, True)
    assert sbin["exch_feed_time"] == nifty["exch_feed_time"] > 1_700_000_000


async def test_the_client_decodes_depth(client: OfficialClient, sim: RunningSimulator) -> None:
    given = feed_arguments(sim, symbols=[SBIN], kind="DepthUpdate", until={SBIN: 2})
    running = await client.start("feed_script.py", given)
    await running.connected()
    sim.set_price("SBIN", "815.3")
    depth = [row for row in (await running.result())["messages"] if row.get("symbol") == SBIN][-1]
    assert [depth[f"bid_price{level}"] for level in range(1, 6)] == [815.25, 815.2, 815.15, 815.1, 815.05]
    assert (depth["ask_price1"], depth["ask_size1"], depth["ask_order1"]) == (815.35, 500, 1)


async def test_many_frames_are_acknowledged_by_the_client(client: OfficialClient, sim: RunningSimulator) -> None:
    running = await client.start("feed_script.py", feed_arguments(sim, symbols=[SBIN], until={SBIN: 700}))
    await running.connected()
    for number in range(60):
        sim.set_price("SBIN", 800 + number)
    (socket,) = sim.simulator.dialects["fyers"].hub.sockets[APP]  # type: ignore[attr-defined]
    await sim.wait_for(lambda: socket.acknowledged == 50)
    sim.set_price("SBIN", 700)
    assert (await running.result())["errors"] == []


async def test_the_client_is_called_back_with_orders_and_trades(client: OfficialClient, sim: RunningSimulator) -> None:
    given = {"ws": sim.urls("fyers")["orders_ws_url"], "token": f"{APP}:{token(sim, APP)}", "ends": 3}
    running = await client.start("orders_script.py", given)
    await running.connected()
    sim.set_depth("SBIN", 2)
    order_id = place(sim, quantity=5)
    sim.set_depth("SBIN", None)
    sim.set_price("SBIN", 820)
    resting = place(sim, quantity=1, price=810)
    sim.exchange.cancel(account=APP, order_id=resting)
    filled_again = place(sim, quantity=1)
    found = await running.result()
    first = [(order["status"], order.get("filledQty")) for order in found["orders"] if order["id"] == order_id]
    assert first[0] == (4, None)
    assert (6, 2) in first
    assert first[-1] == (2, 5)
    assert [order["status"] for order in found["orders"] if order["id"] == resting] == [4, 6, 1]
    assert sum(trade["tradedQty"] for trade in found["trades"] if trade["orderNumber"] == order_id) == 5
    assert found["orders"][-1]["id"] == filled_again
    assert found["general"] == [{"code": 1605, "message": "Successfully subscribed", "s": "ok"}]


def place(sim: RunningSimulator, *, quantity: int, price: object = 820) -> str:
    """An order of the app's owner, by hand."""
    wanted = OrderRequest(APP, "NSE:SBIN", Side.BUY, OrderType.LIMIT, Product.MIS, quantity, to_price(price))
    return sim.simulator.place_foreign(wanted, {}).order_id


async def test_a_stranger_is_not_let_in(client: OfficialClient, sim: RunningSimulator) -> None:
    given = {"ws": sim.urls("fyers")["orders_ws_url"], "token": f"{APP}:a.b.c", "ends": 0}
    found = await client.run("orders_script.py", given)
    assert "403" in found["errors"][0]
