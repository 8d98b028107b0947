"""The broker's own client, unchanged, trades on the simulator: only its addresses differ."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from simulator.dialects.common.dialect import SimulatedAccount
from simulator.testing import RunningSimulator, running_simulator
from tests.contract.official.environment import CannotMakeEnvironment, client_python
from tests.unit.brokers.raw_server import unused_port

FOLDER = Path(__file__).parent
SBIN, NIFTY = "3045", "99926000"
SECONDS = 120
pytestmark = pytest.mark.timeout(600)
Row = dict[str, Any]


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter with the official client."""
    try:
        return client_python(FOLDER)
    except CannotMakeEnvironment as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
async def sim() -> AsyncIterator[RunningSimulator]:
    async with running_simulator(rate_limits="off") as running:
        running.set_prices({"SBIN": 820, "NIFTY 50": 24_500})
        yield running


async def run(python: Path, script: str, given: Row, folder: Path) -> Process:
    """In a folder of its own, where the client leaves its logs. What it asks of the world at its import meets a closed door."""
    closed = f"http://127.0.0.1:{unused_port()}"
    environment = {"TZ": "Asia/Kolkata", "HTTPS_PROXY": closed, "HTTP_PROXY": closed, "NO_PROXY": "127.0.0.1"}
    command = [str(python), str(FOLDER / script), json.dumps(given)]
    return await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=environment, cwd=folder)


async def result_of(process: Process) -> Row:
    try:
        async with asyncio.timeout(SECONDS):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, errors.decode()
    found: Row = json.loads(output)
    return found


@pytest.fixture
async def day(python: Path, sim: RunningSimulator, tmp_path: Path) -> Row:
    """What the client got in the course of a whole trading day."""
    account = sim.simulator.registry.register("app-1", api_secret="4821", user_id="A12345")
    account.funds = 300_000_000_000
    given = {
        "root": sim.urls("angel_one")["api_url"],
        "control": sim.control_url,
        "api_key": "app-1",
        "client_code": "A12345",
        "pin": "4821",
        "code": "123456",
    }
    return await result_of(await run(python, "rest_script.py", given, tmp_path))


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
    assert found["holdings"]["data"] is None
    assert found["all_holdings"]["data"] == {"holdings": None, "totalholding": None}


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


async def connected(process: Process) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS):
        line = await process.stdout.readline()
    assert line == b"connected\n", (line, (await process.communicate())[1].decode())


def arguments(sim: RunningSimulator, account: SimulatedAccount, url: str, **wanted: Any) -> Row:
    return {
        "url": sim.urls("angel_one")[url],
        "token": f"Bearer {account.access_token}",
        "api_key": account.api_key,
        "client_code": account.user_id,
        "feed_token": account.feed_token,
    } | wanted


@pytest.mark.parametrize("mode", [1, 2, 3])
async def test_the_client_decodes_ticks_of_each_mode(python: Path, sim: RunningSimulator, tmp_path: Path, mode: int) -> None:
    account = sim.account("alice", dialect="angel_one")
    sim.place_by_hand("alice", symbol="SBIN", side="BUY", quantity=7)
    tokens = [{"exchangeType": 1, "tokens": [SBIN, NIFTY]}]
    given = arguments(sim, account, "ws_url", mode=mode, tokens=tokens, ticks=4)
    process = await run(python, "feed_script.py", given, tmp_path)
    await connected(process)
    dialect: Any = sim.simulator.dialects["angel_one"]
    await sim.wait_for(lambda: dialect.hub.subscribers((1, NIFTY)) == 1)
    sim.set_prices({"SBIN": "815.35", "NIFTY 50": "24400.25"})
    found = await result_of(process)
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


async def test_the_client_is_told_of_order_updates(python: Path, sim: RunningSimulator, tmp_path: Path) -> None:
    account = sim.account("alice", dialect="angel_one")
    process = await run(python, "orders_script.py", arguments(sim, account, "orders_ws_url", updates=5), tmp_path)
    await connected(process)
    order_id = sim.place_by_hand("alice", symbol="SBIN", side="BUY", quantity=5, price=815)
    sim.set_depth("SBIN", 2)
    sim.set_price("SBIN", 815)
    sim.set_depth("SBIN", None)
    greeting, *updates = (await result_of(process))["updates"]
    assert (greeting["order-status"], greeting["user-id"], greeting["orderData"]) == ("AB00", account.user_id, {})
    told = [
        (update["order-status"], update["orderData"]["orderstatus"], update["orderData"]["filledshares"]) for update in updates
    ]
    assert told == [("AB09", "open pending", "0"), ("AB01", "open", "0"), ("AB01", "open", "2"), ("AB05", "complete", "5")]
    assert {update["orderData"]["orderid"] for update in updates} == {order_id}


@pytest.mark.parametrize(("script", "url"), [("feed_script.py", "ws_url"), ("orders_script.py", "orders_ws_url")])
async def test_the_client_is_told_why_it_may_not_connect(
    python: Path, sim: RunningSimulator, tmp_path: Path, script: str, url: str
) -> None:
    wrong = SimulatedAccount("sim-alice", "sim-alice", "", "wrong", "A1", feed_token="wrong")
    given = arguments(sim, wrong, url, mode=1, tokens=[], ticks=1, updates=1)
    found = await result_of(await run(python, script, given, tmp_path))
    assert "401" in found["error"]
