"""The broker's own client, unchanged, trades on the simulator: only its root address differs."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from simulator.testing import RunningSimulator, SimulatedAccount, running_simulator
from tests.contract.official.client import OfficialClient, Row, deliver_infosys

TCS, NIFTY = 2953217, 256265
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
async def sim() -> AsyncIterator[RunningSimulator]:
    async with running_simulator(rate_limits="off") as running:
        yield running


@pytest.fixture
async def day(client: OfficialClient, sim: RunningSimulator) -> Row:
    """What the client got in the course of a whole trading day."""
    registry = sim.simulator.registry
    account = registry.register("app-1", api_secret="quite-secret", user_id="AB1234")
    given = {
        "root": sim.kite_url,
        "control": sim.control_url,
        "api_key": account.api_key,
        "api_secret": account.api_secret,
        "request_token": registry.mint_request_token(account),
    }
    sim.set_prices({"TCS": 3600, "INFY": 1500})
    account.funds = 300_000_000_000
    deliver_infosys(account)
    return await client.run("rest_script.py", given)


async def test_a_trading_day_over_rest(day: Row) -> None:
    check_session(day["session"])
    check_market(day["market"])
    check_orders(day["orders"])
    check_triggers(day["triggers"])
    check_refusals(day["refusals"])
    assert day["logout"] is True
    assert day["after logout"]["error"] == "TokenException"


def check_session(found: Row) -> None:
    assert found["session"]["user_id"] == found["profile"]["user_id"] == "AB1234"
    assert found["session"]["refresh_token"] == ""
    assert found["login_time_is_datetime"]
    assert (found["again"]["error"], found["again"]["code"]) == ("TokenException", 403)
    assert found["margins"]["equity"] == found["equity"]
    assert found["equity"]["net"] == 30_000_000


def check_market(found: Row) -> None:
    assert found["ltp"]["NSE:TCS"] == {"instrument_token": TCS, "last_price": 3600}
    assert found["ohlc"]["NSE:TCS"]["ohlc"]["open"] == 3600
    assert len(found["quote"]["NSE:TCS"]["depth"]["buy"]) == 5
    assert found["quote_time_is_datetime"]
    assert (found["tcs"]["instrument_token"], found["tcs"]["tick_size"], found["tcs"]["lot_size"]) == (TCS, 0.1, 1)
    assert found["future"]["segment"] == "NFO-FUT"
    assert found["instruments"] > 90
    assert [set(row) for row in found["candles"]] == [{"date", "open", "high", "low", "close", "volume", "oi"}] * 5


def check_orders(found: Row) -> None:
    rows = {row["order_id"]: row for row in found["orders"]}
    by_name = {name: rows[order_id] for name, order_id in found["ids"].items()}
    assert {name: (row["status"], row["filled_quantity"]) for name, row in by_name.items()} == {
        "filled": ("COMPLETE", 10),
        "protected": ("COMPLETE", 4),
        "moved": ("COMPLETE", 3),
        "gone": ("CANCELLED", 0),
    }
    assert by_name["filled"]["tag"] == "official1"
    assert (by_name["protected"]["order_type"], by_name["protected"]["price"]) == ("LIMIT", 3582)
    assert [row["status"] for row in found["history"]][-5:] == [
        "MODIFY VALIDATION PENDING",
        "MODIFY PENDING",
        "MODIFIED",
        "OPEN",
        "COMPLETE",
    ]
    assert sum(trade["quantity"] for trade in found["order_trades"]) == 10
    assert len(found["trades"]) >= 3
    net = {(row["tradingsymbol"], row["product"]): row["quantity"] for row in found["positions"]["net"]}
    assert (net["TCS", "MIS"], net["TCS", "CNC"], net["INFY", "MIS"]) == (2, 1, 70_000)
    assert (found["converted"], found["slices"]) == (True, 2)
    (held,) = found["holdings"]
    shown = (held["tradingsymbol"], held["realised_quantity"], held["t1_quantity"], held["average_price"])
    assert shown == ("INFY", 10, 2, 1400.55)
    assert found["order_margins"][0]["total"] == 720


def check_triggers(found: Row) -> None:
    assert found["seen"]["condition"]["trigger_values"] == [3420]
    assert [row["status"] for row in found["left"]] == ["deleted"]


def check_refusals(found: Row) -> None:
    named = {name: (refusal.get("error"), refusal.get("code")) for name, refusal in found.items()}
    assert named == {
        "bad field": ("InputException", 400),
        "long tag": ("InputException", 400),
        "no protection": ("InputException", 400),
        # This client has no classes for these two error types and falls back to its general one.
        "no funds": ("GeneralException", 400),
        "no holdings": ("GeneralException", 400),
        "unknown order": ("GeneralException", 404),
        "wrong token": ("TokenException", 403),
        "token_expired": ("TokenException", 403),
        "ip_refused": ("PermissionException", 403),
        "reject_sync": ("OrderException", 400),
        "status_503": ("NetworkException", 503),
        "status_429": ("NetworkException", 429),
        "status_500": ("GeneralException", 500),
        "status_502_html": ("DataException", 502),
        "half_json": ("DataException", 502),
        "ok_with_error_inside": ("DataException", 200),
        "drop_before": ("requests", None),
    }
    assert "Insufficient funds" in found["no funds"]["message"]
    assert "Insufficient stock holding" in found["no holdings"]["message"]


def ticker_arguments(sim: RunningSimulator, account: SimulatedAccount, **wanted: Any) -> Row:
    given = {"root": sim.kite_ws_url, "api_key": account.api_key, "access_token": account.access_token}
    return given | {"modes": {}, "ticks": 0, "orders": 0} | wanted


@pytest.mark.parametrize("mode", ["ltp", "quote", "full"])
async def test_the_client_decodes_ticks_of_each_mode(client: OfficialClient, sim: RunningSimulator, mode: str) -> None:
    account = sim.account("alice")
    sim.place_by_hand("alice", symbol="TCS", side="BUY", quantity=7)
    given = ticker_arguments(sim, account, modes={TCS: mode, NIFTY: mode}, ticks=6)
    running = await client.start("ticker_script.py", given)
    await running.connected()
    await sim.wait_for(lambda: len(sim.simulator.kite.hub.subscribers(NIFTY)) == 1)
    sim.set_prices({"TCS": "3490.5", "NIFTY 50": "24400.25"})
    found = await running.result()
    tcs, nifty = ([tick for tick in found["ticks"] if tick["instrument_token"] == token][-1] for token in (TCS, NIFTY))
    assert (tcs["mode"], tcs["tradable"], tcs["last_price"]) == (mode, True, 3490.5)
    assert (nifty["mode"], nifty["tradable"], nifty["last_price"]) == (mode, False, 24400.25)
    if mode != "ltp":
        check_quote_fields(tcs, nifty)
    if mode == "full":
        assert [row["price"] for row in tcs["depth"]["buy"]] == [3490.4, 3490.3, 3490.2, 3490.1, 3490.0]
        assert tcs["depth"]["sell"][0] == {"quantity": 500, "price": 3490.6, "orders": 1}
        assert str(tcs["exchange_timestamp"])[:10] == str(nifty["exchange_timestamp"])[:10] == sim.exchange.trading_day


def check_quote_fields(tcs: Row, nifty: Row) -> None:
    assert (tcs["volume_traded"], tcs["last_traded_quantity"], tcs["average_traded_price"]) == (7, 7, 3600)
    assert tcs["ohlc"] == {"open": 3600, "high": 3600, "low": 3490.5, "close": 3600}
    assert nifty["ohlc"] == {"open": 24450, "high": 24450, "low": 24400.25, "close": 24450}


async def test_the_client_is_called_back_with_order_updates(client: OfficialClient, sim: RunningSimulator) -> None:
    account = sim.account("alice")
    running = await client.start("ticker_script.py", ticker_arguments(sim, account, orders=2))
    await running.connected()
    order_id = sim.place_by_hand("alice", symbol="TCS", side="BUY", quantity=5, price=3500)
    sim.set_depth("TCS", 2)
    sim.set_price("TCS", 3500)
    sim.set_depth("TCS", None)
    found = await running.result()
    assert [(order["order_id"], order["status"], order["filled_quantity"]) for order in found["orders"]] == [
        (order_id, "UPDATE", 2),
        (order_id, "COMPLETE", 5),
    ]


async def test_the_client_is_told_why_it_may_not_connect(client: OfficialClient, sim: RunningSimulator) -> None:
    wrong = SimulatedAccount("sim-alice", "sim-alice", "x", "wrong", "x")
    found = await client.run("ticker_script.py", ticker_arguments(sim, wrong))
    assert "403" in found["closed"][1]
