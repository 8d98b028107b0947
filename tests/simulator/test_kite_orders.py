"""Order endpoints on the wire: shapes, field checks, error types."""

from typing import Any

import pytest

from simulator.testing import RunningSimulator
from tests.simulator.kite_client import KiteClient

BOOK_FIELDS = {
    "account_id", "placed_by", "order_id", "exchange_order_id", "parent_order_id", "status", "status_message",
    "status_message_raw", "order_timestamp", "exchange_update_timestamp", "exchange_timestamp", "variety", "modified",
    "exchange", "tradingsymbol", "instrument_token", "order_type", "transaction_type", "validity", "validity_ttl",
    "product", "quantity", "disclosed_quantity", "price", "trigger_price", "average_price", "filled_quantity",
    "pending_quantity", "cancelled_quantity", "market_protection", "meta", "tag", "guid",
}  # fmt: skip
"""The order object of the documentation (part "Orders", "Retrieving orders")."""


async def test_the_book_has_the_documented_fields(kite: KiteClient) -> None:
    order_id = await kite.placed(tag="mytag1")
    row = await kite.order(order_id)
    assert set(row) == BOOK_FIELDS | {"tags"}
    assert (row["tag"], row["tags"]) == ("mytag1", ["mytag1"])
    assert (row["status"], row["average_price"], row["price"], row["filled_quantity"]) == ("COMPLETE", 3600, 3610, 10)
    assert len(row["order_id"]) == 19
    assert row["exchange_timestamp"][:10] == row["order_timestamp"][:10]
    assert set(await kite.order(await kite.placed())) == BOOK_FIELDS, "tags is absent when there is none"


async def test_numbers_are_whole_without_a_decimal_point_and_exact_with_one(kite: KiteClient, sim: RunningSimulator) -> None:
    sim.set_price("TCS", "3599.9")
    await kite.placed(price="3600.1")
    async with kite.session.get(kite.url + "/orders", headers={"Authorization": kite.account.authorization}) as answer:
        text = await answer.text()
    assert '"price":3600.1,"trigger_price":0,"average_price":3599.9,' in text


async def test_the_history_leads_through_every_state(kite: KiteClient) -> None:
    order_id = await kite.placed(price="3500")
    await kite.modify(order_id, price="3610")
    history = (await kite.get(f"/orders/{order_id}")).data
    assert [row["status"] for row in history] == [
        "PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN", "MODIFY VALIDATION PENDING",
        "MODIFY PENDING", "MODIFIED", "OPEN", "COMPLETE",
    ]  # fmt: skip
    assert [row["exchange_order_id"] is None for row in history] == [True] * 3 + [False] * 6
    assert [row["price"] for row in history] == [3500] * 6 + [3610] * 3
    assert "account_id" not in history[0]


async def test_trades_are_listed_for_the_day_and_by_order(kite: KiteClient, sim: RunningSimulator) -> None:
    sim.set_depth("TCS", 6)
    order_id = await kite.placed()
    other = await kite.placed(tradingsymbol="INFY", price="1500")
    sim.set_price("TCS", 3605)
    trades = (await kite.get("/trades")).data
    assert [(trade["quantity"], trade["average_price"]) for trade in trades] == [(6, 3600), (10, 1500), (4, 3610)]
    mine = (await kite.get(f"/orders/{order_id}/trades")).data
    assert [trade["trade_id"] for trade in mine] == [trades[0]["trade_id"], trades[2]["trade_id"]]
    assert set(mine[0]) == {
        "trade_id", "order_id", "exchange_order_id", "exchange", "tradingsymbol", "instrument_token", "product",
        "transaction_type", "quantity", "average_price", "fill_timestamp", "exchange_timestamp", "order_timestamp",
    }  # fmt: skip
    assert len(mine[0]["order_timestamp"]) == 8
    assert other != order_id
    assert (await kite.order(order_id))["average_price"] == (6 * 3600 + 4 * 3610) / 10


async def test_a_cancelled_row_keeps_its_pending_quantity(kite: KiteClient) -> None:
    order_id = await kite.placed(price="3500")
    assert (await kite.cancel(order_id)).data == {"order_id": order_id}
    row = await kite.order(order_id)
    assert (row["status"], row["pending_quantity"], row["cancelled_quantity"]) == ("CANCELLED", 10, 10)


async def test_a_market_order_comes_back_as_a_limit_with_system_tags(kite: KiteClient) -> None:
    row = await kite.order(await kite.placed(order_type="MARKET", price=None, market_protection="2", tag="t1"))
    assert (row["order_type"], row["price"], row["market_protection"]) == ("LIMIT", 3672, 0)
    assert row["tags"] == ["t1", "mktp", "mktp:2.00"]


MESSAGES: list[tuple[dict[str, Any], str, str]] = [
    ({"tradingsymbol": None}, "InputException", "Missing or empty field `tradingsymbol`"),
    ({"exchange": ""}, "InputException", "Missing or empty field `exchange`"),
    ({"quantity": None}, "InputException", "Missing or empty field `quantity`"),
    ({"price": None}, "InputException", "Missing or empty field `price`"),
    ({"order_type": "SL"}, "InputException", "Missing or empty field `trigger_price`"),
    ({"transaction_type": "buy"}, "InputException", "Invalid `transaction_type`."),
    ({"order_type": "STOP"}, "InputException", "Invalid `order_type`."),
    ({"product": "MTF"}, "InputException", "Invalid `product`."),
    ({"validity": "TTL"}, "InputException", "Invalid `validity`."),
    ({"quantity": "1.5"}, "InputException", "Invalid `quantity`."),
    ({"quantity": "1_0"}, "InputException", "Invalid `quantity`."),
    ({"quantity": "٣"}, "InputException", "Invalid `quantity`."),
    ({"quantity": "99999999999999999999"}, "InputException", "Invalid `quantity`."),
    ({"quantity": "0"}, "InputException", "Invalid `quantity`."),
    ({"price": "NaN"}, "InputException", "Invalid `price`."),
    ({"price": "1e5"}, "InputException", "Invalid `price`."),
    ({"price": "3600.00001"}, "InputException", "Invalid `price`."),
    ({"price": "999999999999"}, "InputException", "Invalid `price`."),
    ({"price": "-3600"}, "InputException", "Invalid `price`."),
    ({"tag": "a" * 21}, "InputException", "Invalid `tag`. It should be at most 20 characters."),
    ({"tradingsymbol": "NOPE"}, "InputException",
     "The instrument you are placing an order for has either expired or does not exist."),
    ({"price": "9999"}, "InputException", "Your order price is higher than the current upper circuit limit of 4320.00."
     " Place an order within the daily range."),
    ({"order_type": "MARKET"}, "InputException", "Market orders without market protection are not allowed via API."
     " Please set market protection or use a Limit order."),
    ({"quantity": "140000", "exchange": "BSE"}, "InputException", "Quantity is above the exchange freeze limit of 27777."),
    ({"product": "CNC", "transaction_type": "SELL"}, "HoldingException",
     "Insufficient stock holding: 0 of 10 shares are available to sell."),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "error_type", "message"), MESSAGES, ids=lambda value: "")
async def test_a_bad_order_is_refused_with_400(kite: KiteClient, fields: dict[str, Any], error_type: str, message: str) -> None:
    answer = await kite.place(**fields)
    assert answer.body == {"status": "error", "message": message, "error_type": error_type, "data": None}
    assert answer.status == 400
    assert await kite.book() == []


async def test_missing_funds_are_a_margin_exception_with_both_amounts(kite: KiteClient, sim: RunningSimulator) -> None:
    sim.account("alice", funds="7000.5")
    answer = await kite.place(price="3600")
    assert answer.error == (400, "MarginException")
    assert answer.body["message"] == "Insufficient funds. Required margin is 7200.00 but available margin is 7000.50."


@pytest.mark.parametrize("variety", ["amo", "co", "iceberg", "auction", "nonsense"])
async def test_other_varieties_are_refused(kite: KiteClient, variety: str) -> None:
    assert (await kite.request("POST", f"/orders/{variety}", data={"quantity": "1"})).error == (400, "InputException")


async def test_a_body_that_is_no_form_is_an_input_exception(kite: KiteClient) -> None:
    for body in (b"\xff\xfe=\xff", b"&".join(b"a%d=1" % number for number in range(200)), b'{"quantity":1}'):
        assert (await kite.request("POST", "/orders/regular", data=body)).error == (400, "InputException")


async def test_unknown_orders_are_not_found_and_foreign_ones_neither(kite: KiteClient, sim: RunningSimulator) -> None:
    foreign = sim.place_by_hand("bob", symbol="TCS", side="BUY", quantity=1, price=3500)
    for order_id in ("12345", foreign):
        assert (await kite.get(f"/orders/{order_id}")).error == (404, "GeneralException")
        assert (await kite.get(f"/orders/{order_id}/trades")).error == (404, "GeneralException")
        assert (await kite.modify(order_id, price="3400")).error == (404, "GeneralException")
        assert (await kite.cancel(order_id)).error == (404, "GeneralException")


async def test_done_orders_cannot_be_changed(kite: KiteClient) -> None:
    order_id = await kite.placed()
    assert (await kite.modify(order_id, price="3400")).error == (400, "InputException")
    assert (await kite.cancel(order_id)).error == (400, "InputException")


async def test_the_twenty_sixth_modification_is_refused_with_the_documented_text(kite: KiteClient) -> None:
    order_id = await kite.placed(price="3500")
    for number in range(25):
        assert (await kite.modify(order_id, price=str(3501 + number))).status == 200
    answer = await kite.modify(order_id, price="3400")
    assert answer.error == (429, "NetworkException")
    assert answer.body["message"] == "Maximum allowed order modifications exceeded."
    assert (await kite.cancel(order_id)).status == 200


async def test_routes_that_do_not_exist_and_wrong_methods_answer_in_the_envelope(kite: KiteClient) -> None:
    assert (await kite.get("/nowhere")).error == (404, "GeneralException")
    assert (await kite.get("/")).error == (404, "GeneralException")
    assert (await kite.request("PUT", "/orders")).error == (405, "GeneralException")


async def test_two_posts_with_the_same_tag_make_two_orders(kite: KiteClient) -> None:
    assert await kite.placed(tag="same") != await kite.placed(tag="same")
    assert [row["tag"] for row in await kite.book()] == ["same", "same"]


async def test_autoslice_cuts_at_the_freeze_quantity(kite: KiteClient, sim: RunningSimulator) -> None:
    answer = (await kite.place(quantity="60000", autoslice="true", product="MIS")).data
    rows = await kite.book()
    assert [row["quantity"] for row in rows] == [27777, 27777, 4446]
    assert [child["order_id"] for child in answer["children"]] == [row["order_id"] for row in rows[1:]]
    assert rows[0]["tags"] == ["autoslice"]
    assert rows[1]["tags"] == ["autoslice", f"autoslice:{answer['order_id']}"]
    sim.account("alice", funds=10)
    refused = (await kite.place(quantity="60000", autoslice="true")).error
    assert refused == (400, "MarginException")


async def test_nothing_is_sliced_up_to_the_freeze_quantity(kite: KiteClient) -> None:
    assert set((await kite.place(quantity="27777", autoslice="true")).data) == {"order_id"}
    assert (await kite.place(quantity="300000", autoslice="true")).error == (400, "InputException"), "more than ten slices"
    assert [row.get("tags") for row in await kite.book()] == [None]


async def test_a_slice_that_is_refused_is_told_among_the_children(kite: KiteClient, sim: RunningSimulator) -> None:
    sim.account("alice", funds=3610 * 27777 // 5 + 1000)
    children = (await kite.place(quantity="30000", autoslice="true")).data["children"]
    assert children[0]["error"]["error_type"] == "MarginException"
    assert children[0]["error"]["code"] == 400


async def test_large_answers_are_gzipped_for_those_who_take_it(kite: KiteClient) -> None:
    for _ in range(3):
        await kite.placed()
    for accepted, encoding in (("gzip", "gzip"), ("identity", None)):
        headers = {"Authorization": kite.account.authorization, "Accept-Encoding": accepted}
        async with kite.session.get(kite.url + "/orders", headers=headers) as answer:
            assert answer.headers.get("Content-Encoding") == encoding
            assert len((await answer.json())["data"]) == 3
