"""Funds, positions, holdings, conversions, the end of a day."""

import pytest

from simulator.testing import RunningSimulator
from tests.simulator.kite_client import KiteClient

POSITION_FIELDS = {
    "tradingsymbol", "exchange", "instrument_token", "product", "quantity", "overnight_quantity", "multiplier",
    "average_price", "close_price", "last_price", "value", "pnl", "m2m", "unrealised", "realised", "buy_quantity",
    "buy_price", "buy_value", "buy_m2m", "sell_quantity", "sell_price", "sell_value", "sell_m2m", "day_buy_quantity",
    "day_buy_price", "day_buy_value", "day_sell_quantity", "day_sell_price", "day_sell_value",
}  # fmt: skip
"""The position object of the documentation (part "Portfolio", "Positions")."""


async def positions(kite: KiteClient) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = (await kite.get("/portfolio/positions")).data
    return found


async def test_a_position_follows_its_trades(kite: KiteClient, sim: RunningSimulator) -> None:
    await kite.placed(quantity="10")
    sim.set_price("TCS", 3650)
    await kite.placed(transaction_type="SELL", quantity="4", price="3640")
    sim.set_price("TCS", 3700)
    found = await positions(kite)
    (net,), (day,) = found["net"], found["day"]
    assert set(net) == set(day) == POSITION_FIELDS
    assert (net["quantity"], net["average_price"], net["last_price"]) == (6, 3600, 3700)
    assert (net["buy_value"], net["sell_value"], net["value"]) == (36_000, 14_600, -21_400)
    assert net["pnl"] == 14_600 - 36_000 + 6 * 3700 == net["m2m"]
    assert (net["day_buy_quantity"], net["day_sell_quantity"], day["quantity"]) == (10, 4, 6)


async def test_a_flat_position_stays_listed_with_its_profit(kite: KiteClient, sim: RunningSimulator) -> None:
    await kite.placed()
    sim.set_price("TCS", 3490)
    await kite.placed(transaction_type="SELL", price="3480")
    (row,) = (await positions(kite))["net"]
    assert (row["quantity"], row["average_price"], row["pnl"]) == (0, 0, -1100)


async def test_funds_fall_by_the_margin_and_move_with_realised_profit(kite: KiteClient, sim: RunningSimulator) -> None:
    async def net() -> object:
        return (await kite.get("/user/margins/equity")).data["net"]

    full = 10_00_00_000
    resting = await kite.placed(price="3500", quantity="10")
    assert await net() == full - 7_000, "an intraday order blocks a fifth of its value"
    await kite.cancel(resting)
    await kite.placed()
    assert await net() == full - 7_200
    sim.set_price("TCS", 3700)
    await kite.placed(transaction_type="SELL", price="3690", quantity="10")
    assert await net() == full + 1_000
    await kite.placed(product="CNC", price="3700")
    assert await net() == full + 1_000 - 37_000, "delivery is paid in full"


@pytest.mark.parametrize(("opening", "closing", "price"), [("BUY", "SELL", "3700"), ("SELL", "BUY", "3500")])
async def test_orders_that_close_block_nothing_until_all_is_covered(
    kite: KiteClient, sim: RunningSimulator, opening: str, closing: str, price: str
) -> None:
    await kite.placed(transaction_type=opening, price="3600")
    sim.account("alice", funds=7_300)
    for quantity in ("4", "6"):
        assert (await kite.place(transaction_type=closing, price=price, quantity=quantity)).status == 200
    assert (await kite.place(transaction_type=closing, price=price, quantity="1")).error == (400, "MarginException")


async def test_both_segments_have_the_documented_fields(kite: KiteClient) -> None:
    both = (await kite.get("/user/margins")).data
    assert set(both) == {"equity", "commodity"}
    for segment in both.values():
        assert set(segment) == {"enabled", "net", "available", "utilised"}
        assert set(segment["available"]) == {
            "adhoc_margin", "cash", "opening_balance", "live_balance", "collateral", "intraday_payin",
        }  # fmt: skip
        assert len(segment["utilised"]) == 12
    assert (await kite.get("/user/margins/commodity")).data == both["commodity"]
    assert (await kite.get("/user/margins/gold")).error == (400, "InputException")


async def test_a_position_can_be_converted_in_part(kite: KiteClient) -> None:
    await kite.placed(quantity="10")
    form = {
        "exchange": "NSE", "tradingsymbol": "TCS", "transaction_type": "BUY", "position_type": "day", "quantity": "4",
        "old_product": "MIS", "new_product": "CNC",
    }  # fmt: skip
    assert (await kite.request("PUT", "/portfolio/positions", data=form)).data is True
    rows = {row["product"]: row["quantity"] for row in (await positions(kite))["net"]}
    assert rows == {"MIS": 6, "CNC": 4}
    assert (await kite.get("/user/margins/equity")).data["net"] == 10_00_00_000 - 6 * 720 - 4 * 3600
    for change in ({"quantity": "7"}, {"quantity": "0"}, {"transaction_type": "SELL"}, {"position_type": "x"}):
        assert (await kite.request("PUT", "/portfolio/positions", data=form | change)).error == (400, "InputException")


async def test_a_day_ends_with_expired_orders_delivered_shares_and_closed_intraday_positions(
    kite: KiteClient, sim: RunningSimulator
) -> None:
    await kite.placed(product="CNC", quantity="10")
    await kite.placed(product="MIS", quantity="5")
    await kite.placed(price="3500", tag="rests")
    future = next(market.instrument for market in sim.exchange.markets.values() if market.instrument.kind == "FUT")
    price = sim.exchange.markets[future.key].last_price // 10_000
    await kite.placed(
        exchange="NFO", tradingsymbol=future.symbol, quantity=str(future.lot_size), price=str(price), product="NRML"
    )
    sim.set_price("TCS", 3660)
    before = (await kite.get("/user/margins/equity")).data["net"]
    sim.simulator.roll_day()
    assert await kite.book() == (await kite.get("/trades")).data == []
    (holding,) = (await kite.get("/portfolio/holdings")).data
    assert (holding["tradingsymbol"], holding["quantity"], holding["average_price"]) == ("TCS", 10, 3600)
    found = await positions(kite)
    assert [(row["product"], row["overnight_quantity"], row["quantity"]) for row in found["net"]] == [
        ("NRML", future.lot_size, future.lot_size)
    ]
    assert found["day"] == []
    after = (await kite.get("/user/margins/equity")).data["net"]
    assert after == before + 5 * 720 + 5 * 60 + 10 * 700, "margins of the expired order and the closed position, and its profit"
    assert (await kite.place(product="CNC", transaction_type="SELL", price="3650", quantity="11")).error == (
        400,
        "HoldingException",
    )
    assert (await kite.place(product="CNC", transaction_type="SELL", price="3650", quantity="10")).status == 200
    sim.simulator.roll_day()
    assert (await kite.get("/portfolio/holdings")).data == []


@pytest.mark.parametrize(("side", "sign"), [("BUY", 1), ("SELL", -1)])
async def test_a_carried_position_is_valued_from_its_cost_and_marked_from_the_close(
    kite: KiteClient, sim: RunningSimulator, side: str, sign: int
) -> None:
    future = next(market for market in sim.exchange.markets.values() if market.instrument.kind == "FUT")
    lot, symbol, key = future.instrument.lot_size, future.instrument.symbol, future.instrument.key
    sim.set_price(key, 24_000)
    order = {"exchange": "NFO", "tradingsymbol": symbol, "product": "NRML", "quantity": str(lot)}
    await kite.placed(**order, transaction_type=side, price="24000")
    sim.set_price(key, 24_100)
    sim.simulator.roll_day()
    await kite.placed(**order, transaction_type=side, price="24100")
    sim.set_price(key, 24_150)
    found = await positions(kite)
    (net,), (day,) = found["net"], found["day"]
    assert (net["quantity"], net["overnight_quantity"], day["quantity"]) == (2 * lot * sign, lot * sign, lot * sign)
    assert (net["average_price"], day["average_price"], net["close_price"]) == (24_050, 24_100, 24_100)
    assert (net["pnl"], net["m2m"], day["pnl"]) == (200 * lot * sign, 100 * lot * sign, 50 * lot * sign)
    name = side.lower()
    assert (net[f"{name}_value"], net[f"{name}_m2m"]) == (48_100 * lot, 48_200 * lot)


async def test_margin_calculators_answer_per_order(kite: KiteClient) -> None:
    order = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "variety": "regular", "product": "CNC",
             "order_type": "LIMIT", "quantity": 1, "price": 1498}  # fmt: skip
    (margin,) = (await kite.request("POST", "/margins/orders", json=[order])).data
    assert (margin["total"], margin["leverage"], margin["type"], margin["tradingsymbol"]) == (1498, 1, "equity", "INFY")
    basket = (await kite.request("POST", "/margins/basket", json=[order, order])).data
    assert (basket["initial"]["total"], len(basket["orders"])) == (2996, 2)
    (note,) = (await kite.request("POST", "/charges/orders", json=[order | {"average_price": 1498}])).data
    assert note["charges"]["total"] > 0
    for body in (
        {"not": "a list"},
        [1],
        [order | {"quantity": "x"}],
        [order | {"tradingsymbol": "NOPE"}],
        [order | {"price": "x"}],
    ):
        assert (await kite.request("POST", "/margins/orders", json=body)).error == (400, "InputException")
    assert (await kite.request("POST", "/margins/orders", data=b"{")).error == (400, "InputException")
