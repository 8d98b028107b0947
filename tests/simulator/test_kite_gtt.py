"""Good-till-triggered orders (Kite Connect v3, "GTT orders")."""

from typing import Any

import orjson
import pytest

from simulator.testing import RunningSimulator
from tests.simulator.kite_client import Answer, KiteClient


def leg(side: str = "SELL", price: float = 3480, **changes: Any) -> dict[str, Any]:
    return {
        "exchange": "NSE", "tradingsymbol": "TCS", "transaction_type": side, "quantity": 10, "order_type": "LIMIT",
        "product": "MIS", "price": price,
    } | changes  # fmt: skip


async def place(kite: KiteClient, triggers: list[float], legs: list[dict[str, Any]], kind: str = "single") -> Answer:
    condition = {"exchange": "NSE", "tradingsymbol": "TCS", "trigger_values": triggers, "last_price": 3600}
    form = {"type": kind, "condition": orjson.dumps(condition).decode(), "orders": orjson.dumps(legs).decode()}
    return await kite.request("POST", "/gtt/triggers", data=form)


async def test_a_single_trigger_fires_once_when_its_price_trades(kite: KiteClient, sim: RunningSimulator) -> None:
    trigger_id = (await place(kite, [3500], [leg()])).data["trigger_id"]
    sim.set_price("TCS", 3501)
    assert await kite.book() == []
    for price in (3499, 3498):
        sim.set_price("TCS", price)
    (order,) = await kite.book()
    assert (order["transaction_type"], order["price"], order["status"]) == ("SELL", 3480, "COMPLETE")
    row = (await kite.get(f"/gtt/triggers/{trigger_id}")).data
    assert (row["status"], row["condition"]["trigger_values"], row["condition"]["instrument_token"]) == (
        "triggered",
        [3500],
        2953217,
    )
    assert row["orders"][0]["result"]["order_result"] == {
        "status": "success",
        "order_id": order["order_id"],
        "rejection_reason": "",
    }


@pytest.mark.parametrize(("price", "leg_number"), [(3500, 0), (3700, 1)])
async def test_of_two_legs_the_one_whose_price_trades_is_placed(
    kite: KiteClient, sim: RunningSimulator, price: int, leg_number: int
) -> None:
    await place(kite, [3500, 3700], [leg(price=3480), leg(price=3690)], "two-leg")
    sim.set_price("TCS", price)
    (order,) = await kite.book()
    assert order["price"] == (3480, 3690)[leg_number]


async def test_a_refused_order_is_told_in_the_result(kite: KiteClient, sim: RunningSimulator) -> None:
    await place(kite, [3500], [leg(product="CNC")])
    sim.set_price("TCS", 3500)
    (row,) = (await kite.get("/gtt/triggers")).data
    result = row["orders"][0]["result"]["order_result"]
    assert (result["status"], result["order_id"]) == ("failed", "")
    assert "stock" in result["rejection_reason"]


async def test_triggers_can_be_changed_and_deleted_only_while_active_and_only_by_their_owner(
    kite: KiteClient, sim: RunningSimulator
) -> None:
    trigger_id = (await place(kite, [3500], [leg()])).data["trigger_id"]
    condition = orjson.dumps({"exchange": "NSE", "tradingsymbol": "TCS", "trigger_values": [3400], "last_price": 3600}).decode()
    form = {"type": "single", "condition": condition, "orders": orjson.dumps([leg(price=3390)]).decode()}
    path = f"/gtt/triggers/{trigger_id}"
    assert (await kite.request("PUT", path, data=form)).data == {"trigger_id": trigger_id}
    sim.set_price("TCS", 3500)
    assert await kite.book() == []
    bob = KiteClient(kite.session, kite.url, sim.account("bob"))
    assert (await bob.get(path)).error == (404, "GeneralException")
    assert (await kite.request("DELETE", path)).data == {"trigger_id": trigger_id}
    assert (await kite.request("DELETE", path)).error == (400, "InputException")
    sim.set_price("TCS", 3400)
    assert await kite.book() == []
    assert [row["status"] for row in (await kite.get("/gtt/triggers")).data] == ["deleted"]


async def test_malformed_triggers_are_refused(kite: KiteClient) -> None:
    for triggers, legs, kind in (
        ([3500], [leg()], "triple"), ([3500, 3700], [leg()], "single"), ([3500], [leg()], "two-leg"), ([-1], [leg()], "single"),
        ([3500], [leg(order_type="MARKET")], "single"), ([3500], [leg(side="HOLD")], "single"), ([3500], [{}], "single"),
        ([3500], [leg(quantity="x")], "single"), (["x"], [leg()], "single"), ([], [], "single"),
    ):  # fmt: skip
        assert (await place(kite, triggers, legs, kind)).error == (400, "InputException")
    form = {"type": "single", "condition": "{", "orders": "[]"}
    assert (await kite.request("POST", "/gtt/triggers", data=form)).error == (400, "InputException")
    assert (await kite.get("/gtt/triggers/x")).error == (404, "GeneralException")
