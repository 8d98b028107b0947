"""The control API."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from simulator.testing import RunningSimulator
from tests.simulator.kite_client import TCS_TOKEN, KiteClient, open_ticker


async def call(control: aiohttp.ClientSession, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
    async with control.request(method, path, json=body) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def test_health_names_the_addresses(control: aiohttp.ClientSession, sim: RunningSimulator) -> None:
    health = await call(control, "GET", "/control/health")
    assert (health["status"], health["market_open"], health["kite_url"]) == ("ok", True, sim.kite_url)


async def test_accounts_are_registered_shown_without_secrets_changed_and_deleted(
    control: aiohttp.ClientSession, kite: KiteClient
) -> None:
    made = await call(control, "POST", "/control/accounts", {"api_key": "k1", "funds": 5000, "user_id": "AB1234"}, status=201)
    assert (made["api_secret"], made["user_id"], made["funds"]) == ("k1-secret", "AB1234", 5000)
    await call(control, "POST", "/control/accounts", {"api_key": "k1"}, status=400)
    shown = await call(control, "GET", "/control/accounts/k1")
    assert "secret" not in str(shown)
    assert "secret" not in str(await call(control, "GET", "/control/accounts"))
    changed = await call(control, "PATCH", "/control/accounts/k1", {"funds": "7000.50", "rate_limits": "off"})
    assert (changed["funds"], changed["rate_limits"]) == (7000.5, "off")
    token = (await call(control, "POST", "/control/accounts/k1/access-token"))["access_token"]
    header = {"Authorization": f"token k1:{token}"}
    assert (await kite.request("GET", "/user/profile", headers=header)).data["user_id"] == "AB1234"
    await call(control, "DELETE", "/control/accounts/k1")
    assert (await kite.request("GET", "/user/profile", headers=header)).error == (403, "TokenException")
    await call(control, "GET", "/control/accounts/k1", status=404)


async def test_an_expired_token_is_dead(control: aiohttp.ClientSession, kite: KiteClient) -> None:
    await call(control, "POST", f"/control/accounts/{kite.account.api_key}/expire-token")
    assert (await kite.get("/orders")).error == (403, "TokenException")


async def test_the_user_can_trade_by_hand_and_the_api_sees_it_without_a_tag(
    control: aiohttp.ClientSession, kite: KiteClient
) -> None:
    path = f"/control/accounts/{kite.account.api_key}"
    body = {"tradingsymbol": "TCS", "transaction_type": "SELL", "quantity": 5, "tag": "never"}
    row = await call(control, "POST", f"{path}/orders", body, status=201)
    assert (row["status"], row["tag"], row["guid"]) == ("COMPLETE", None, None)
    assert [order["order_id"] for order in await kite.book()] == [row["order_id"]]
    assert (await call(control, "GET", f"{path}/positions"))["net"][0]["quantity"] == -5
    assert len(await call(control, "GET", f"{path}/trades")) == 1
    limit = body | {"order_type": "LIMIT", "price": 3700}
    resting = await call(control, "POST", f"{path}/orders", limit, status=201)
    assert (await call(control, "POST", f"{path}/broker-cancel"))["cancelled"] == [resting["order_id"]]
    await call(control, "POST", f"{path}/orders", {"tradingsymbol": "NOPE", "transaction_type": "BUY"}, status=400)
    await call(control, "POST", f"{path}/broker-cancel", {"order_id": "1"}, status=404)


async def test_a_held_order_can_be_released(control: aiohttp.ClientSession, kite: KiteClient, sim: RunningSimulator) -> None:
    sim.add_fault("never_fill")
    order_id = await kite.placed()
    row = await call(control, "POST", f"/control/accounts/{kite.account.api_key}/orders/{order_id}/release")
    assert row["status"] == "COMPLETE"


async def test_holdings_can_be_given(control: aiohttp.ClientSession, kite: KiteClient) -> None:
    path = f"/control/accounts/{kite.account.api_key}/holdings"
    await call(control, "POST", path, {"symbol": "INFY", "quantity": 20, "average_price": 1400})
    (row,) = (await kite.get("/portfolio/holdings")).data
    assert (row["tradingsymbol"], row["quantity"], row["pnl"]) == ("INFY", 20, 2000)
    sell = {"tradingsymbol": "INFY", "price": "1490", "product": "CNC", "transaction_type": "SELL"}
    assert (await kite.place(**sell, quantity="21")).error == (400, "HoldingException")
    assert (await kite.place(**sell, quantity="20")).status == 200


async def test_prices_set_by_hand_are_sent_before_the_answer(
    control: aiohttp.ClientSession, kite: KiteClient, sim: RunningSimulator
) -> None:
    socket = await open_ticker(kite.session, sim.kite_ws_url, kite.account)
    await socket.say({"a": "mode", "v": ["ltp", [TCS_TOKEN]]})
    await socket.until(lambda seen: len(seen.frames) == 1)
    answer = await call(control, "POST", "/control/prices", {"TCS": "3490.05", "BSE:TCS": 3491})
    assert (answer["prices"], answer["sockets"]) == ({"TCS": 3490.05, "BSE:TCS": 3491}, 1)
    await socket.until(lambda seen: len(seen.frames) == 2)
    assert (await call(control, "GET", "/control/prices"))["TCS"]["last_price"] == 3490.05
    await socket.close()


@pytest.mark.parametrize(
    "body", [{}, {"TCS": 0}, {"TCS": -1}, {"TCS": "x"}, {"TCS": None}, {"TCS": True}, {"TCS": 9999}, {"NOPE": 5}, [1]]
)
async def test_impossible_prices_move_nothing(control: aiohttp.ClientSession, sim: RunningSimulator, body: Any) -> None:
    answer = await call(control, "POST", "/control/prices", body, status=400)
    assert answer["error"].endswith((".", "decimals", "None", "'x'", "True")), answer
    assert sim.exchange.markets["NSE:TCS"].last_price == 36_000_000


async def test_raw_ticks_reach_subscribers_and_leave_the_market_alone(
    control: aiohttp.ClientSession, kite: KiteClient, sim: RunningSimulator
) -> None:
    socket = await open_ticker(kite.session, sim.kite_ws_url, kite.account)
    await socket.say({"a": "mode", "v": ["full", [TCS_TOKEN]]})
    await socket.until(lambda seen: len(seen.frames) == 1)
    resting = await kite.placed(price="3500")
    ticks = [{"symbol": "TCS", "price": price} for price in (0, -5, 1)]
    assert await call(control, "POST", "/control/ticks", ticks) == {"sent": 3}
    await socket.until(lambda seen: len(seen.frames) == 4)
    assert [int.from_bytes(frame[8:12], "big", signed=True) for frame in socket.frames[1:]] == [0, -500, 100]
    assert (await kite.order(resting))["status"] == "OPEN"
    for bad in ({"symbol": "TCS"}, "x", [{"symbol": "NOPE", "price": 1}], [{"symbol": "TCS", "price": 10**9}], [5]):
        await call(control, "POST", "/control/ticks", bad, status=400)
    await socket.close()


async def test_sources_are_chosen_per_instrument(control: aiohttp.ClientSession, sim: RunningSimulator, tmp_path: Path) -> None:
    recording = tmp_path / "r.csv"
    recording.write_text("0,INFY,1499\n")
    for symbols, source in (
        (["TCS"], {"kind": "ramp", "to": 3590, "seconds": 0.05, "interval_seconds": 0.01}),
        ("all", {"kind": "replay", "path": str(recording)}),
        (["SBIN"], {"kind": "walk", "interval_seconds": 0.02, "step_bps": 30}),
    ):
        await call(control, "POST", "/control/prices/source", {"symbols": symbols, "source": source})
    markets, before = sim.exchange.markets, sim.exchange.markets["NSE:SBIN"].last_price
    await sim.wait_for(lambda: markets["NSE:TCS"].last_price == 35_900_000 and markets["NSE:INFY"].last_price == 14_990_000)
    await sim.wait_for(lambda: markets["NSE:SBIN"].last_price != before)
    await call(control, "POST", "/control/prices/source", {"symbols": "all", "source": {"kind": "hand"}})
    assert {row["source"] for row in (await call(control, "GET", "/control/prices")).values()} == {"hand"}
    for bad in (
        {"symbols": ["NOPE"], "source": {"kind": "hand"}}, {"symbols": ["TCS"], "source": {"kind": "magic"}},
        {"symbols": ["TCS"], "source": "walk"}, {"symbols": ["TCS"], "source": {"kind": "replay", "path": "/nowhere"}},
        {"symbols": ["TCS"], "source": {"kind": "replay", "path": str(recording)}}, {"symbols": ["TCS"]},
        {"symbols": ["TCS"], "source": {"kind": "ramp", "to": 99999}},
        {"symbols": ["TCS"], "source": {"kind": "walk", "step_bps": "x"}},
    ):  # fmt: skip
        await call(control, "POST", "/control/prices/source", bad, status=400)


async def test_instruments_can_be_added_and_limited(
    control: aiohttp.ClientSession, kite: KiteClient, sim: RunningSimulator
) -> None:
    made = await call(
        control, "POST", "/control/instruments", {"symbol": "NEWCO", "price": 99.5, "name": "New Company"}, status=201
    )
    assert (made["tick_size"], made["lot_size"]) == (0.01, 1)
    await call(control, "POST", "/control/instruments", {"symbol": "NEWCO", "price": 99.5}, status=400)
    assert (await kite.place(tradingsymbol="NEWCO", price="99.51")).status == 200
    token = (await kite.get("/quote/ltp", i="NSE:NEWCO")).data["NSE:NEWCO"]["instrument_token"]
    assert token == made["instrument_token"]
    await call(control, "POST", "/control/instruments/circuit", {"symbol": "NEWCO", "lower": 95, "upper": 105})
    assert (await kite.place(tradingsymbol="NEWCO", price="106")).error == (400, "InputException")
    await call(control, "POST", "/control/instruments/depth", {"symbol": "NEWCO", "quantity": 3})
    assert (await kite.order(await kite.placed(tradingsymbol="NEWCO", price="100")))["filled_quantity"] == 3
    await call(control, "POST", "/control/instruments/depth", {"symbol": "NEWCO", "quantity": None})
    assert (await kite.book())[-1]["status"] == "COMPLETE"
    (found,) = await call(control, "GET", "/control/instruments?query=new+comp")
    assert found["symbol"] == "NEWCO"


async def test_the_log_says_what_reached_the_exchange_and_what_came_of_it(
    control: aiohttp.ClientSession, kite: KiteClient
) -> None:
    order_id = await kite.placed(price="3500", tag="t1")
    await kite.modify(order_id, price="3610")
    await kite.place(quantity="0", tag="t2")
    answer = await call(control, "GET", "/control/log")
    entries = answer["entries"]
    assert [entry["action"] for entry in entries] == ["place", "modify", "fill", "terminal", "place"]
    assert [entry["sequence"] for entry in entries] == list(range(1, 6))
    assert answer["next"] == 5
    place, modify, fill, terminal, refused = entries
    assert (place["tag"], place["outcome"], place["parameters"]["price"], place["order_id"]) == (
        "t1",
        "accepted",
        "3500",
        order_id,
    )
    assert place["arrived_ns"] < modify["arrived_ns"] <= fill["arrived_ns"]
    assert place["monotonic_ns"] < modify["monotonic_ns"]
    assert (fill["quantity"], fill["price"], terminal["status"], terminal["filled"]) == (10, 3600, "COMPLETE", 10)
    assert (refused["outcome"], refused["order_id"], refused["tag"]) == ("400 InputException: Invalid `quantity`.", None, "t2")
    filtered = await call(control, "GET", "/control/log?since=1&action=place")
    assert [entry["sequence"] for entry in filtered["entries"]] == [5]
    one_kind = await call(control, "GET", "/control/log?action=modify")
    assert ([entry["sequence"] for entry in one_kind["entries"]], one_kind["next"]) == ([2], 5)
    limited = await call(control, "GET", "/control/log?limit=2")
    assert ([entry["sequence"] for entry in limited["entries"]], limited["next"]) == ([1, 2], 2)
    stats = await call(control, "GET", "/control/stats")
    assert (stats["counts"]["place"], stats["busiest_second"] >= 1, stats["sequence"]) == (2, True, 5)
    await call(control, "GET", "/control/log?since=x", status=400)


async def test_faults_are_added_listed_and_removed(control: aiohttp.ClientSession, kite: KiteClient) -> None:
    made = await call(control, "POST", "/control/faults", {"kind": "status_500", "endpoint": "orders", "count": None}, status=201)
    assert (await kite.get("/orders")).status == 500
    (shown,) = await call(control, "GET", "/control/faults")
    assert (shown["id"], shown["hits"], shown["count"]) == (made["id"], 1, None)
    await call(control, "DELETE", f"/control/faults/{made['id']}")
    assert (await kite.get("/orders")).status == 200
    await call(control, "DELETE", f"/control/faults/{made['id']}", status=404)
    for bad in ({}, {"kind": "nonsense"}, {"kind": "status_500", "endpoint": "nowhere"}, {"kind": "slow", "delay_ms": "long"}):
        assert "error" in await call(control, "POST", "/control/faults", bad, status=400)
    await call(control, "POST", "/control/faults", {"kind": "slow"}, status=201)
    await call(control, "DELETE", "/control/faults")
    assert await call(control, "GET", "/control/faults") == []


async def test_the_market_can_be_closed_and_the_day_ended(control: aiohttp.ClientSession, kite: KiteClient) -> None:
    assert await call(control, "POST", "/control/market", {"hours": "closed"}) | {"trading_day": ""} == {
        "hours": "closed", "open": False, "trading_day": "",
    }  # fmt: skip
    assert (await kite.place()).error == (400, "InputException")
    await call(control, "POST", "/control/market", {"hours": "always_open"})
    await kite.placed()
    await call(control, "POST", "/control/day/roll")
    assert await kite.book() == []
    await call(control, "POST", "/control/market", {"hours": "sometimes"}, status=400)


async def test_the_page_and_its_overview_are_served(control: aiohttp.ClientSession, kite: KiteClient) -> None:
    await kite.placed()
    async with control.get("/") as answer:
        assert answer.content_type == "text/html"
    overview = await call(control, "GET", "/control/overview")
    assert (overview["orders"][0]["tradingsymbol"], overview["orders"][0]["api_key"]) == ("TCS", kite.account.api_key)
    assert {"instruments", "accounts", "faults", "fault_kinds", "market", "sockets"} <= set(overview)


async def test_what_is_not_there_is_one_sentence(control: aiohttp.ClientSession) -> None:
    assert "nothing" in (await call(control, "GET", "/control/nowhere", status=404))["error"]
    assert "not possible" in (await call(control, "DELETE", "/control/health", status=405))["error"]
    async with control.post("/control/prices", data=b"{") as answer:
        assert (answer.status, (await answer.json())["error"]) == (400, "The body is not JSON.")
